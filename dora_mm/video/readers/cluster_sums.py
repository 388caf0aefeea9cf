"""Checksums that FFmpeg, OBS too, writes into Matroska and does not read."""
import mmap
import zlib
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

_CLUSTER = b'\x1f\x43\xb6\x75'
_CRC32 = b'\xbf\x84'  # first in its cluster, with four bytes
_TRIES = 3  # damage may have taken the first one's


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


def lie_within(positions: Sequence[Optional[int]],
               ranges: np.ndarray) -> np.ndarray:
    """Which packets lie in a range.

    Args:
        positions (Sequence[int | None]): P offsets in bytes.
        ranges (np.ndarray): Of :func:`sound_clusters`.

    Returns:
        np.ndarray: bool (P, ).
    """
    places = np.array([-1 if p is None else p for p in positions], np.int64)
    number = np.searchsorted(ranges[:, 0], places, side='right') - 1
    inside = places < ranges[number, 1] if len(ranges) else places < 0
    return (number >= 0) & inside
