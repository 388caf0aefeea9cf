"""Files that were joined byte by byte, of which FFmpeg reads the beginning."""
import mmap
from typing import Iterator

from .head_sums import movie_boxes

_ASF_HEADER = bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c')
_FLV_HEADER = b'FLV\x01'


def num_recordings(path: str, container: str) -> int:
    """Count the recordings of a file in containers that are read only once.

    Of a file that ``cat a.mp4 b.mp4`` has made FFmpeg reads what the first
    header describes, and says nothing of the rest.

    Args:
        path (str): The file.
        container (str): As FFmpeg names it.

    Returns:
        int: 1 of a file that is not joined, in pieces that carry on (MP4 in
        fragments), or in another container.
    """
    with open(path, 'rb') as file, mmap.mmap(
            file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if container.startswith('mov'):
            kinds = [kind for kind, _, _ in movie_boxes(file)]
            if b'moof' in kinds:
                return 1
            return max(1, min(kinds.count(b'ftyp'), kinds.count(b'moov')))
        if container == 'asf':
            return max(1, list(_objects(data)).count(_ASF_HEADER))
        if container == 'flv':
            return max(1, _num_flv(data))
    return 1


def _objects(data: mmap.mmap) -> Iterator[bytes]:
    """Kinds of the outermost objects of ASF."""
    place = 0
    while place + 24 <= len(data):
        size = int.from_bytes(data[place + 16:place + 24], 'little')
        yield data[place:place + 16]
        if size < 24:  # of unknown size
            return
        place += size


def _num_flv(data: mmap.mmap) -> int:
    """How many headers of FLV stand where a tag could begin."""
    number = place = 0
    while place + 11 <= len(data):
        if data[place:place + 4] == _FLV_HEADER:
            number += 1
            size = int.from_bytes(data[place + 5:place + 9], 'big') + 4
        else:
            size = int.from_bytes(data[place + 1:place + 4], 'big') + 15
        place += max(size, 4)
    return number
