import struct
import zlib

import simplejpeg


def check_whole(data: bytes) -> None:
    """Refuse what PIL would decode without a word though a part is missing.

    Args:
        data (bytes): An image file of any kind.

    Raises:
        ValueError: If a checksum of a PNG differs, or a JPEG has no end or
            less data than pixels. The other kinds are not looked at.
    """
    _check_png(data)
    _check_jpeg(data)


def _check_png(data: bytes) -> None:
    """PIL takes a palette whose name is damaged for none."""
    place, end = 8, len(data)
    while data.startswith(b'\x89PNG') and place + 12 <= end:
        size, kind = struct.unpack_from('>I4s', data, place)
        following = place + 12 + size
        if zlib.crc32(data[place + 4:following - 4]) != int.from_bytes(
                data[following - 4:following], 'big'):
            raise ValueError(f'the checksum of its part {kind!r} differs')
        place = end if kind == b'IEND' else following


def _check_jpeg(data: bytes) -> None:
    """PIL takes the zeros that a download has in place of its end for
    pixels."""
    place = 2 if data.startswith(b'\xff\xd8\xff') else len(data)
    while data[place:place + 1] == b'\xff' and place + 4 <= len(data):
        if data[place + 1] == 0xff:  # fills up
            place += 1
        elif data[place + 1] != 0xda:
            place += 2 + int.from_bytes(data[place + 2:place + 4], 'big')
        elif data.find(b'\xff\xd9', place) < 0:
            raise ValueError('its end is missing')
        else:
            _check_jpeg_data(data)
            break


def _check_jpeg_data(data: bytes) -> None:
    """PIL shows grey for what is missing in front of an end."""
    try:
        # in grey and at an eighth of the size, it takes the least time
        simplejpeg.decode_jpeg(
            data, 'GRAY', min_height=1, min_width=1, min_factor=8)
    # It warns of bytes too many as well, as some cameras write them, and
    # does not know all that PIL does.
    except Exception as error:
        # The second where decoding restarts, as such files say.
        if 'remature end' in str(error) or 'instead of RST' in str(error):
            raise ValueError(
                'a part of its data is missing: get it again, or save it anew '
                'to take grey for that part') from error
