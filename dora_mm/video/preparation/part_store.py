import hashlib
import json
import operator
import os
import shutil
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.this_host import this_host
from dora_mm.video.file_identity import file_identity
from dora_mm.video.readers.saved_arrays import load_arrays, save_arrays
from dora_mm.video.readers.warn import warn
from dora_mm.video.shot_cuts import Changes
from .source_video import Segment
from .stillness import Stillness

# A file that is being written changes more often.
_SECONDS_TO_WRITE = 3600
# Raise it when :class:`Part` holds other values: parts that an earlier version
# left unfinished are made anew; finished videos have none, and stay.
_LAYOUT = 2


class Part(NamedTuple):
    """A finished segment.

    Attributes:
        path (Path): Its video.
        stillness (Stillness): Of its frames.
        changes (Changes): Of its frames.
        undecodable (list[tuple[int, int]]): Ranges [begin, end) of frames of
            the whole result.
    """
    path: Path
    stillness: Stillness
    changes: Changes
    undecodable: List[Tuple[int, int]]


class PartStore:
    """Finished segments of one video, in a folder of their own.

    A name contains a digest of layout, settings, source and frames, so parts
    of another run are never taken for the right ones, and several processes
    and machines may fill the folder. A part is two files; it counts when the
    second is there and gives size and digest of the first. A damaged one is
    made anew.

    Args:
        folder (Path): The folder.
        key (dict): What the content of the parts depends on.
    """

    def __init__(self, folder: Path, key: dict) -> None:
        self.folder = folder
        self._key = json.dumps([_LAYOUT, key], sort_keys=True)
        self._known: Dict[tuple, str] = {}

    def path_of(self, segment: Segment) -> Path:
        """Where the video of a segment belongs.

        Args:
            segment (Segment): The segment.

        Returns:
            Path: The path; whether it is there is another question.
        """
        text = json.dumps([self._key, segment])
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return self.folder / f'{segment.number:05d}-{digest}.mp4'

    def finish(self, segment: Segment, stillness: Stillness, changes: Changes,
               undecodable: Sequence[Tuple[int, int]]) -> None:
        """Declare a part complete whose video is written.

        Args:
            segment (Segment): The segment.
            stillness (Stillness): Of its frames.
            changes (Changes): Of its frames.
            undecodable (Sequence[tuple[int, int]]): See :class:`Part`.
        """
        path = self.path_of(segment)
        save_arrays(
            path.with_suffix('.npz'),
            dict(
                bytes=path.stat().st_size,
                sha256=_sha256(path),
                undecodable=np.array(undecodable, np.int64).reshape(-1, 2),
                **_pack('stillness', stillness),
                **_pack('changes', changes)))

    def load(self, segment: Segment) -> Optional[Part]:
        """Find a part.

        Args:
            segment (Segment): The segment.

        Returns:
            Part | None: None if it is missing, incomplete or damaged.
        """
        path = self.path_of(segment)
        values = load_arrays(path.with_suffix('.npz'))
        if values is None or not path.exists():
            return None
        size, digest = int(values['bytes']), str(values['sha256'])
        if path.stat().st_size != size or self._digest(path) != digest:
            warn(f'{path} is damaged: it is made anew')
            return None
        return Part(path, Stillness(*_unpack('stillness', Stillness, values)),
                    Changes(*_unpack('changes', Changes, values)),
                    list(map(tuple, values['undecodable'].tolist())))

    def _digest(self, path: Path) -> str:
        """Of a part's video, read once while it stays as it is."""
        state = tuple(file_identity(path).values())
        if state not in self._known:
            self._known[state] = _sha256(path)
        return self._known[state]

    def remove_others(self, segments: Sequence[Segment]) -> None:
        """Remove parts of another source or of other settings.

        And what killed processes have left half-written; not what another
        machine may be writing now.

        Args:
            segments (Sequence[Segment]): All segments of this run.
        """
        wanted = {self.path_of(segment).stem for segment in segments}
        for path in self.folder.glob('[0-9]*-*'):
            if path.stem not in wanted:
                path.unlink(missing_ok=True)
        for path in self.folder.glob('.*.*'):
            try:
                if time.time() - path.stat().st_mtime > _SECONDS_TO_WRITE:
                    path.unlink()
            except FileNotFoundError:
                pass

    def remove(self) -> None:
        """Remove the folder and all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_if_empty(self) -> None:
        """Remove the folder unless there are parts."""
        try:
            self.folder.rmdir()
        except OSError:
            pass

    @property
    def lock_path(self) -> Path:
        """Names the machine and the process that has the lock."""
        return self.folder / 'assembling.lock'

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Let one process of all machines put the parts together.

        Yields:
            bool: Whether this is the one.
        """
        path = self.lock_path
        owner = json.dumps([this_host(), os.getpid()])
        mine = _create(path, owner) or _take_over(path, owner)
        try:
            yield mine
        finally:
            if mine:
                path.unlink(missing_ok=True)


def _pack(name: str, values: NamedTuple) -> Dict[str, np.ndarray]:
    return {f'{name}_{key}': v for key, v in values._asdict().items()}


def _unpack(name: str, kind: type, values: dict) -> List[np.ndarray]:
    return [values[f'{name}_{key}'] for key in kind._fields]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def _create(path: Path, text: str) -> bool:
    """Create a file unless it exists.

    Whole, as nobody must see it empty, by a link, which never replaces.
    """
    temporary = path.with_name(f'.{uuid.uuid4().hex}')
    try:
        temporary.write_text(text)
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):
        # Without the folder another process has finished.
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _take_over(path: Path, owner: str) -> bool:
    """Replace a file whose owner was killed; of several that try one succeeds.

    One at a time may: who has made a link to the file. It may have been
    replaced since it was looked at.
    """
    claim = path.with_name('.assembling.lock')
    try:
        found = path.read_bytes()
        if not _was_killed(found):
            return False
        os.link(path, claim)
    except (FileExistsError, FileNotFoundError):
        return False
    try:
        if claim.read_bytes() != found:
            return False
        with atomic_file(path) as file:
            file.temporary.write_text(owner)
    finally:
        claim.unlink(missing_ok=True)
    return True


def _was_killed(owner: bytes) -> bool:
    """Whether an owner was, as far as this machine can tell."""
    try:
        host, pid = json.loads(owner)
        pid = operator.index(pid)
    except (ValueError, TypeError, RecursionError):
        return True  # damaged: it was written whole
    if host != this_host():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    return False
