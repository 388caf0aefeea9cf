"""Checksums that FFmpeg, OBS too, writes into Matroska and does not read."""
import mmap
import zlib
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

_CLUSTER = b'\x1f\x43\xb6\x75'
_CRC32 = b'\xbf\x84'  # first in its cluster, with four bytes
_TRIES = 3  # damage may have taken the first one's
_SEGMENT = b'\x18\x53\x80\x67'  # all of it
# What stands before and between clusters: the list of all, facts, tracks, an
# index, tags, chapters, attachments, a void, a checksum.
_OTHERS = (b'\x11\x4d\x9b\x74', b'\x15\x49\xa9\x66', b'\x16\x54\xae\x6b',
           b'\x1c\x53\xbb\x6b', b'\x12\x54\xc3\x67', b'\x10\x43\xa7\x70',
           b'\x19\x41\xa4\x69', b'\xec', b'\xbf')
_REORDERED = 16  # frames over which decoders reorder


def sound_clusters(path: str) -> Optional[np.ndarray]:
    """Find the clusters of a Matroska file whose checksums fit.

    One that the file ends in, as it is cut short, counts as one of them.

    Args:
        path (str): The file.

    Returns:
        np.ndarray | None: int64 (C, 2), offsets [begin, end) in bytes,
        ascending. None if clusters hold no checksums.
    """
    sound: List[Tuple[int, int]] = []
    signed = others = 0
    with open(path, 'rb') as file, mmap.mmap(
            file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = data.find(_CLUSTER)
        while place >= 0:
            begin, end = _body(data, place + len(_CLUSTER))
            first = begin + len(_CRC32) + 4
            whole = False
            if data[begin:begin + len(_CRC32)] == _CRC32:
                signed += 1
                written = int.from_bytes(data[first - 4:first], 'little')
                with memoryview(data) as view, view[first:end] as rest:
                    whole = end <= len(data) and zlib.crc32(rest) == written
            else:
                others += 1
            if not signed and others == _TRIES:
                return None
            # The size of a damaged cluster may be what is damaged.
            following = data.find(_CLUSTER, end if whole else place + 1)
            if whole or signed and following < 0 and end > len(data):
                sound.append((place, end))
            place = following
    return np.array(sound, np.int64).reshape(-1, 2) if signed else None


def _body(data: Any, place: int) -> Tuple[int, int]:
    """Offsets of what an element holds, by its size of 1 to 8 bytes."""
    length = 9 - max(1, data[place].bit_length()) if place < len(data) else 1
    size = int.from_bytes(data[place:place + length], 'big')
    begin = place + length
    return begin, begin + (size & (1 << 7 * length) - 1)


def lie_within(places: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Which packets lie in a range.

    Args:
        places (np.ndarray): int64 (P, ), offsets in bytes, -1 of none.
        ranges (np.ndarray): Of :func:`sound_clusters`.

    Returns:
        np.ndarray: bool (P, ).
    """
    number = np.searchsorted(ranges[:, 0], places, side='right') - 1
    inside = places < ranges[number, 1] if len(ranges) else places < 0
    return (number >= 0) & inside


def missing_frames(path: str, places: np.ndarray, times: Sequence[int],
                   sound: np.ndarray) -> str:
    """Tell whether damage took frames, so that later ones have other numbers.

    Before a sound cluster lies one whose checksum does not fit, or one that
    is not found any more. A step of time there that is longer than usual is
    that of frames that no packet is left of. Where the film begins the step
    is that from 0.

    Args:
        path (str): The file.
        places (np.ndarray): int64 (P, ), offsets of packets in bytes, -1 of
            none.
        times (Sequence[int]): Their P presentation times.
        sound (np.ndarray): Of :func:`sound_clusters`.

    Returns:
        str: Where frames are missing; empty if none are known to be.
    """
    times = np.asarray(times, np.int64)
    ordered = np.unique(times)
    if not len(sound) or len(ordered) < 3:
        return ''
    usual = np.median(np.diff(ordered))
    ordered = np.concatenate([[-usual], ordered])
    late = np.diff(ordered) > 1.5 * usual
    slack = _REORDERED * usual
    ends = [_first_body(path), *sound[:-1, 1].tolist()]
    for end, begin in zip(ends, sound[:, 0].tolist()):
        if end == begin or _is_filled(path, end, begin):
            continue
        after = times[places >= begin].min(initial=ordered[-1])
        before = times[places < end].max(initial=ordered[0])
        near = (ordered[:-1] < after + slack) & (ordered[1:] > before - slack)
        if (late & near).any():
            return f'frames are missing behind byte {end}, where it is damaged'
    return ''


def _first_body(path: str) -> int:
    """Where the elements of the file's segment begin."""
    with open(path, 'rb') as file:
        data = file.read(4096)
    return _body(data, data.find(_SEGMENT) + len(_SEGMENT))[0]


def _is_filled(path: str, begin: int, end: int) -> bool:
    """Whether known elements fill a part of the file, none of them a cluster.

    They do not if it holds a cluster that is damaged.
    """
    with open(path, 'rb') as file:
        file.seek(begin)
        data = file.read(end - begin)
    place = 0
    while place < len(data):
        name = next((n for n in _OTHERS if data.startswith(n, place)), None)
        if name is None:
            return False
        place = _body(data, place + len(name))[1]
    return place == len(data)
