import hashlib
import json
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Optional, Tuple, Union

from dora_mm.utils.read_json import read_json
from dora_mm.utils.write_json import write_json

# The first version knew no cuts.
_VERSION = 2
_REASONS = ('blank', 'frozen', 'undecodable')
_FIELDS = dict(
    source=dict,
    settings=dict,
    settings_hash=str,
    fps=str,
    num_frames=int,
    width=int,
    height=int,
    bytes=int,
    excluded=list,
    notes=list,
    verified=dict)


@dataclass(frozen=True)
class VideoManifest:
    """What ``tools/prepare_video.py`` knows about a video that it wrote.

    It lies beside the video: ``Venice.mp4.json`` belongs to ``Venice.mp4``,
    and has a digest of its content.

    Attributes:
        source (dict): The original: ``name``, ``bytes``, ``sample_sha256``
            (earlier manifests have ``mtime_ns`` instead), ``codec``,
            ``width``, ``height``, ``fps`` (such as ``'60/1'``) and
            ``num_frames``.
        settings (dict): What the video was prepared with.
        settings_hash (str): Digest of ``settings``.
        fps (Fraction): Frames per second of the video, constant.
        num_frames (int): Frames of the video.
        width (int): Pixels.
        height (int): Pixels.
        bytes (int): Size of the video's file.
        excluded (tuple[tuple[int, int, str], ...]): Stretches to leave out of
            training, ascending and disjoint: first frame, the frame after the
            last, and why: ``'blank'``, ``'frozen'`` or ``'undecodable'``.
        cuts (tuple[int, ...] | None): Frames that begin a new shot,
            ascending, see :func:`dora_mm.video.shot_cuts.find_cuts`. None if
            they were never looked for.
        notes (tuple[str, ...]): What the preparation changed, for people.
        verified (dict): Figures of the comparison with the original.
    """
    source: dict
    settings: dict
    settings_hash: str
    fps: Fraction
    num_frames: int
    width: int
    height: int
    bytes: int
    excluded: Tuple[Tuple[int, int, str], ...]
    notes: Tuple[str, ...]
    verified: dict
    cuts: Optional[Tuple[int, ...]] = None

    @staticmethod
    def path_of(video_path: Union[str, Path]) -> Path:
        """Where the manifest of a video lies.

        Args:
            video_path (str | Path): The video.

        Returns:
            Path: The video's path with ``.json`` appended.
        """
        return Path(f'{video_path}.json')

    @classmethod
    def load(cls, video_path: Union[str, Path]) -> Optional['VideoManifest']:
        """Read the manifest of a video.

        Args:
            video_path (str | Path): The video.

        Returns:
            VideoManifest | None: None if the video has no manifest, as any
            file that the preparation has not written.

        Raises:
            ValueError: If the manifest is malformed, or of a newer version of
                this package. The message names the file and the remedy.
        """
        path = cls.path_of(video_path)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            try:
                data = json.loads(text)
            except RecursionError:
                raise ValueError('it is nested too deep') from None
            if not isinstance(data, dict):
                raise ValueError('it is not a JSON object')
            version = data.get('version')
            if isinstance(version, int) and version > _VERSION:
                raise ValueError(
                    f'{str(path)!r} has version {version}, but this dora_mm '
                    f'reads up to {_VERSION}. Update dora_mm, or prepare the '
                    'video again with --overwrite')
            if type(version) is not int or version < 1:
                raise ValueError(f'its version is {version!r}')
            digest = data.pop('digest', None)
            manifest = cls._from_json(data)
            # Those of before have none.
            if version > 1 and digest not in (None, _digest(data)):
                raise ValueError('its digest is that of another content')
            return manifest
        except ValueError as error:
            if str(path) in str(error):
                raise
            raise ValueError(
                f'{str(path)!r} is not a manifest of a prepared video: '
                f'{error}. Prepare the video again with --overwrite, or '
                'remove the manifest if the video was not prepared'
            ) from error

    @classmethod
    def was_one(cls, video_path: Union[str, Path]) -> bool:
        """Whether a file that :meth:`load` refuses is a damaged manifest.

        Args:
            video_path (str | Path): The video.

        Returns:
            bool: Whether two names of fields are in it that only a manifest
            has; False for one of a newer version.
        """
        path = cls.path_of(video_path)
        data = read_json(path)
        version = data.get('version') if isinstance(data, dict) else None
        if isinstance(version, int) and version > _VERSION:
            return False
        text = path.read_bytes()
        return sum(f'"{name}"'.encode() in text
                   for name in ('settings_hash', 'excluded', 'verified')) >= 2

    @classmethod
    def _from_json(cls, data: dict) -> 'VideoManifest':
        for name, kind in _FIELDS.items():
            value = data.get(name)
            # True is an int, too.
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f'{name} is {value!r}, not a '
                                 f'{kind.__name__}')
        unknown = set(data) - set(_FIELDS) - {'version', 'cuts'}
        if unknown:
            raise ValueError(f'{min(unknown)!r} is not one of its fields')
        for name in ('num_frames', 'width', 'height', 'bytes'):
            if not 0 < data[name] < 1 << 63:
                raise ValueError(f'{name} is {data[name]}, not positive')
        # Fraction('1e40000000') takes seconds.
        match = re.fullmatch(r'(\d{1,12})(?:/(\d{1,12}))?', data['fps'])
        fps = Fraction(0)
        if match and int(match[2] or 1):
            fps = Fraction(data['fps'])
        if fps <= 0:
            raise ValueError(f"fps is {data['fps']!r}, not a positive "
                             "fraction such as '60/1'")
        fields = {name: data[name] for name in _FIELDS}
        fields.update(
            fps=fps,
            excluded=_read_ranges(data['excluded'], data['num_frames']),
            notes=tuple(map(str, data['notes'])),
            cuts=_read_cuts(data.get('cuts'), data['num_frames']))
        return cls(**fields)

    def save(self, video_path: Union[str, Path]) -> None:
        """Write the manifest of a video, whole or not at all.

        Args:
            video_path (str | Path): The video.

        Raises:
            OSError: If it cannot be written.
        """
        data = dict(version=_VERSION)
        data.update({name: getattr(self, name) for name in _FIELDS})
        data['cuts'] = self.cuts
        data['fps'] = f'{self.fps.numerator}/{self.fps.denominator}'
        data['digest'] = _digest(data)
        write_json(self.path_of(os.fspath(video_path)), data)


def _read_cuts(cuts: Optional[list],
               num_frames: int) -> Optional[Tuple[int, ...]]:
    """Check and convert ``cuts``."""
    if cuts is None:
        return None
    if not isinstance(cuts, list):
        raise ValueError(f'cuts is {cuts!r}, not a list')
    for before, cut in zip([0, *cuts], cuts):
        if type(cut) is not int or not before < cut < num_frames:
            raise ValueError(
                f'cuts holds {cut!r}, not an integer above the one before and '
                f'below the {num_frames} frames')
    return tuple(cuts)


def _digest(data: dict) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_ranges(rows: list, num_frames: int) -> Tuple:
    """Check and convert ``excluded``."""
    previous = 0
    for row in rows:
        if not (isinstance(row, list) and len(row) == 3
                and all(type(value) is int
                        for value in row[:2]) and row[2] in _REASONS):
            raise ValueError(f'excluded holds {row!r}, not [begin, end, '
                             f'reason] with a reason of {_REASONS}')
        if not previous <= row[0] < row[1] <= num_frames:
            raise ValueError(
                f'excluded holds {row!r}, which overlaps the one before, is '
                f'empty or is beyond the {num_frames} frames')
        previous = row[1]
    return tuple(map(tuple, rows))
