import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import fields
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

from dora_mm.video.file_identity import file_identity
from dora_mm.video.video_files import check_video_file
from .saved_arrays import load_arrays, save_arrays
from .video_index import VideoIndex
from .warn import warn

# Raise it when the meaning of an index changes: old ones are made anew.
_VERSION = 9
_ARRAYS = ('times', 'key_times', 'positions', 'sizes', 'packet_sums',
           'key_packets')
_FRACTIONS = ('stated_fps', 'time_base')
# What was loaded, by path: two hours at 60 fps are 14 MB, which take longer to
# load than a clip to decode. Forked data workers share them.
_loaded: Dict[str, Tuple[dict, VideoIndex]] = {}


def index_file(path: str) -> Path:
    """Where the index of a file is saved.

    Args:
        path (str): The file.

    Returns:
        Path: In the folder ``video_index`` of ``$DORA_MM_CACHE``, by default
        of ``$XDG_CACHE_HOME/dora_mm`` or ``~/.cache/dora_mm``.
    """
    cache = os.environ.get('DORA_MM_CACHE')
    if cache is None:
        home = os.environ.get('XDG_CACHE_HOME', '~/.cache')
        cache = Path(home).expanduser() / 'dora_mm'
    name = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:24]
    return Path(cache) / 'video_index' / f'{name}.npz'


def _save(file: Path, index: VideoIndex, identity: dict) -> None:
    values = {f.name: getattr(index, f.name) for f in fields(index)}
    arrays = {name: values.pop(name) for name in _ARRAYS}
    values.update({name: str(values[name]) for name in _FRACTIONS})
    header = json.dumps(dict(identity=identity, values=values))
    save_arrays(file, dict(arrays, header=header))


def _load(file: Path, identity: dict) -> Optional[VideoIndex]:
    """The saved index; None if there is none, or of another file."""
    arrays = load_arrays(file)
    if arrays is None:
        return None
    header = json.loads(str(arrays.pop('header')))
    if header['identity'] != identity:
        return None
    values = header['values']
    values.update({name: Fraction(values[name]) for name in _FRACTIONS})
    values['crop'] = tuple(values['crop'])
    return VideoIndex(**values, **arrays)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process."""
    with open(file, 'a') as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def load_video_index(path: str) -> VideoIndex:
    """The index of a file, made once per file and machine.

    Making it reads the file from end to end, 10 s for an hour of 4K from a
    cold disk, and checks it (:func:`check_index`); it is saved at
    :func:`index_file`, kept in memory, and made anew when the file's size or
    time of change differs. Where that folder cannot be written, a warning
    says so and each process makes its own.

    Args:
        path (str): The file.

    Returns:
        VideoIndex: The index.

    Raises:
        ValueError: If the file is not a video, or is refused by
            :func:`check_video_file`.
        OSError: If there is no such file.
    """
    check_video_file(path)
    # Another FFmpeg may cut a stream into other packets.
    identity = dict(
        version=_VERSION, av=version('av'), **file_identity(path))
    known, index = _loaded.get(path, (None, None))
    if known != identity:
        index = _load_or_make(path, identity)
        _loaded[path] = identity, index
    return index


def _load_or_make(path: str, identity: dict) -> VideoIndex:
    file = index_file(path)
    index = _load(file, identity)
    if index is not None:
        return index
    # Not at the top: who imports the readers must not pay for PyAV.
    from .check_index import check_index
    from .scan_video import scan_video

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # All ranks of a machine ask at once; one makes it.
        with _locked(file.with_suffix('.lock')):
            index = _load(file, identity)
            if index is None:
                index = check_index(path, scan_video(path))
                _save(file, index, identity)
    except OSError as error:
        warn(
            f'The index of {path!r} cannot be saved in {file.parent} '
            f'({error}); every process makes its own. Set DORA_MM_CACHE to a '
            'folder that can be written')
        index = index or check_index(path, scan_video(path))
    return index
