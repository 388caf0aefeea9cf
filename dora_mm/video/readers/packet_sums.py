"""Checksums of packets: what an index was made of, and is still there."""
import zlib
from typing import Any, Iterable, Iterator, Optional, Tuple

from .container_crop import container_crop
from .head_sums import head_sum
from .video_index import VideoIndex

# A JPEG comment behind the first two bytes; four bytes of CRC-32 of all that
# follows are its end.
_JPEG_HEADER = b'\xff\xfe\x00\x0bcrc32'
# A message in H.264 (user data, unregistered) in front of the picture's own
# units, as an MP4 holds it: length, type, size, name; eight hexadecimal digits
# of CRC-32 of all that follows and a stop bit are its end.
_H264_HEADER = b'\x00\x00\x00\x1c\x06\x05\x18dora_mm crc32 v1'


def sign_jpeg(jpeg: bytes) -> bytes:
    """Put its checksum into a JPEG, as a comment.

    Args:
        jpeg (bytes): The JPEG.

    Returns:
        bytes: A JPEG of the same picture.
    """
    rest = jpeg[2:]
    return jpeg[:2] + _JPEG_HEADER + _jpeg_sum(rest) + rest


def sign_h264(packet: bytes) -> bytes:
    """Put its checksum into a packet of H.264, as a message to nobody.

    Args:
        packet (bytes): Units of H.264 with a length of four bytes each.

    Returns:
        bytes: A packet of the same picture.
    """
    return _H264_HEADER + _h264_sum(packet) + b'\x80' + packet


def _jpeg_sum(rest: Any) -> bytes:
    return zlib.crc32(rest).to_bytes(4, 'big')


def _h264_sum(rest: Any) -> bytes:
    # No run of zeros, which H.264 would take for a mark, is in these.
    return f'{zlib.crc32(rest):08x}'.encode()


def own_sum_fits(data: Any) -> Optional[bool]:
    """Compare a packet with the checksum that its writer put into it.

    Args:
        data (Buffer): Bytes of the packet.

    Returns:
        bool | None: None if it holds no checksum.
    """
    view = memoryview(data)
    begin = 2 + len(_JPEG_HEADER)
    if view[2:begin] == _JPEG_HEADER:
        return view[begin:begin + 4] == _jpeg_sum(view[begin + 4:])
    begin = len(_H264_HEADER)
    if view[:begin] == _H264_HEADER:
        return view[begin:begin + 8] == _h264_sum(view[begin + 9:])
    return None


def is_sound(data: Any, index: VideoIndex) -> bool:
    """Whether a packet fits the checksum that its writer put into it.

    Args:
        data (Buffer): Bytes of the packet.
        index (VideoIndex): Of the file; without checksums it says that all
            packets hold their own, so one without is damaged.
    """
    fits = own_sum_fits(data)
    return bool(fits) if not len(index.packet_sums) else fits is not False


def packet_sum(data: Any, time: Optional[int]) -> int:
    """CRC-32 of a packet and of its presentation time.

    Args:
        data (Buffer): Bytes of the packet.
        time (int, optional): Presentation time.
    """
    return zlib.crc32(data, (time or 0) & 0xffffffff)


def header_sum(path: str, stream: Any) -> int:
    """CRC-32 of what a file says of a stream and its packets do not.

    Args:
        path (str): The file.
        stream (av.VideoStream): Of :func:`open_film`, not decoded yet.
    """
    context = stream.codec_context
    said = (context.codec.canonical_name, context.extradata, context.width,
            context.height, str(stream.sample_aspect_ratio),
            int(context.colorspace), int(context.color_range),
            str(stream.time_base), container_crop(stream),
            head_sum(path, stream.container.format.name))
    return zlib.crc32(repr(said).encode())


def checked_packets(packets: Iterable[Any],
                    index: VideoIndex,
                    first: int = 0) -> Iterator[Tuple[Any, bool]]:
    """Compare packets with those that an index was made of.

    Their order counts as well: where a container is damaged a demuxer may go
    on behind packets that it does not find, and says nothing.

    Args:
        packets (Iterable[av.Packet]): Neighbours in the file.
        index (VideoIndex): Of the file.
        first (int): Which key frame they begin with. Defaults to 0.

    Yields:
        tuple[av.Packet, bool]: A packet, and whether it is what it was.
    """
    sums = index.packet_sums
    number = int(index.key_packets[first]) if len(sums) else 0
    for packet in packets:
        if packet.size == 0:  # the end of the stream
            yield packet, True
            continue
        if not len(sums):
            yield packet, is_sound(packet, index)
            continue
        found = packet_sum(packet, packet.pts)
        same = number < len(sums) and sums[number] == found
        if not same and index.is_key(packet.pts):
            number = int(index.key_packets[index.key_number(packet.pts)])
            same = sums[number] == found
        number += 1
        yield packet, bool(same)
