"""Checksums of what a container says besides its packets."""
import mmap
import struct
import zlib
from typing import Any, Iterator, Optional, Tuple

# The last box of a prepared video, which readers of MP4 pass over. Eight
# hexadecimal digits of CRC-32 of all that ``moov`` holds are its end.
_MARK = struct.pack('>I', 32) + b'freedora_mm head v1 '
_CLUSTER = b'\x1f\x43\xb6\x75'


def head_sum(path: str, container: str) -> int:
    """CRC-32 of what a file says of its streams.

    Of ``moov`` in MP4 and QuickTime, of all before the first cluster in
    Matroska: how pictures are turned, which PyAV says of frames alone, is
    there.

    Args:
        path (str): The file.
        container (str): As FFmpeg names it.

    Returns:
        int: 0 of other containers, whose streams say no more than
        :func:`header_sum` takes in.
    """
    with open(path, 'rb') as file:
        if container.startswith('mov'):
            return zlib.crc32(_movie_box(file))
        if container.startswith('matroska'):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return zlib.crc32(data[:max(0, data.find(_CLUSTER))])
    return 0


def movie_boxes(file: Any) -> Iterator[Tuple[bytes, int, int]]:
    """The outermost boxes of MP4 and QuickTime.

    Args:
        file (BinaryIO): The file.

    Yields:
        tuple[bytes, int, int]: Kind, first byte, and number of bytes; below 8
        of one that goes to the end of the file, and of what is no box.
    """
    place = 0
    while True:
        file.seek(place)
        header = file.read(16)
        if len(header) < 8:
            return
        size, kind = struct.unpack('>I4s', header[:8])
        if size == 1:
            size = int.from_bytes(header[8:], 'big')
        yield kind, place, size
        if size < 8:
            return
        place += size


def _movie_box(file: Any) -> bytes:
    """What ``moov`` holds; empty if it is not found."""
    for kind, place, size in movie_boxes(file):
        if kind == b'moov':
            file.seek(place + 8)
            return file.read(size - 8) if size >= 8 else file.read()
    return b''


def sign_head(path: str) -> None:
    """Put the checksum of its head behind an MP4.

    Args:
        path (str): The file.
    """
    with open(path, 'r+b') as file:
        digits = f'{zlib.crc32(_movie_box(file)):08x}'
        file.seek(0, 2)
        file.write(_MARK + digits.encode())


def own_head_fits(path: str) -> Optional[bool]:
    """Compare the head of a file with the checksum that its writer gave it.

    Args:
        path (str): The file.

    Returns:
        bool | None: None if it holds no checksum.
    """
    length = len(_MARK) + 8
    with open(path, 'rb') as file:
        file.seek(max(0, file.seek(0, 2) - length))
        box = file.read()
        if not box.startswith(_MARK):
            return None
        return box[len(_MARK):] == b'%08x' % zlib.crc32(_movie_box(file))
