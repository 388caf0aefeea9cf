"""Compare reads by an index with decoding that uses none."""
from dataclasses import replace
from typing import Dict, List, Optional, Sequence

import av
import numpy as np

from .check_pictures import check_pictures, check_turns
from .decode_prefix import (PREFIX_PIXELS, Prefix, decode_prefix,
                            prefix_length, summarize, whole_packets)
from .film_decoder import FilmDecoder
from .find_fault import around, find_fault, near_length, places_to_read
from .mjpeg_reader import MJPEGReader
from .open_film import open_film
from .packet_sums import checked_packets
from .pyav_reader import PyAVReader
from .seek_to_key import decode_after_seek, seek_to_key, sound_from
from .video_index import VideoIndex

_PREFIX_OF_JPEGS = 16  # frames
_FAR_PLACES = (0.5, 0.95)  # of the film
# Key frames by which a read may have to start earlier, where the first ones
# are not enough.
_RUN_UPS = (0, 1, 2, 4, 8)
# In streams that are refreshed little by little: one group of pictures until
# all is there, and one in which errors count, as frames refer to all of it.
_LEAST_OF_GRADUAL = 2


def check_index(path: str, index: VideoIndex) -> VideoIndex:
    """Find out whether frames can be sought by an index, and how.

    Frames at a few places, and their neighbours, are read by
    :class:`PyAVReader` and compared with a decoding from the first frame on,
    which counts what comes out and uses no index: of small files to the end,
    of others some seconds. Two places further on are compared with a decoding
    that is begun earlier. Files of JPEGs are read by :class:`MJPEGReader` too.

    Args:
        path (str): The file.
        index (VideoIndex): Of the file.

    Returns:
        VideoIndex: With ``width``, ``height``, ``run_up`` and ``fault``; the
        number of frames is that which was counted where all were.

    Raises:
        VideoDecodeError: If the film cannot be shown as it says.
    """
    if not index.num_frames:
        return index
    reader = PyAVReader(path)
    reader._index = index
    check_pictures(path, reader)
    if index.container == 'mpegts':
        return index
    container, stream = open_film(path)
    with container:
        pixels = stream.width * stream.height
    stop = prefix_length(index.num_promised + 1, pixels)
    if len(index.positions):
        stop = min(stop, _PREFIX_OF_JPEGS)
    places = places_to_read(index, min(stop, index.num_frames), pixels)
    wanted = [n for p in places for n in around(p, stop)]
    right = decode_prefix(path, wanted, reader, stop)
    check_turns(path, right.turns)
    index = replace(index, width=right.size[0], height=right.size[1])
    counted = len(right.times)
    if (right.times != index.times[:counted].tolist()
            or right.complete and counted != index.num_frames):
        return _without_times(index, right)
    fault = _set_run_up(reader, index, places, right)
    for share in _FAR_PLACES:
        place = int(share * (index.num_frames - 1))
        if place >= counted and not fault and not len(index.positions):
            fault = _far_fault(path, reader, place)
    index = replace(reader.index, fault=index.fault or fault)
    reader.close()
    if len(index.positions) and not _jpegs_are_right(path, index, places,
                                                     right):
        none = np.empty(0, np.int64)
        index = replace(index, positions=none, sizes=none)
    return index


def _without_times(index: VideoIndex, right: Prefix) -> VideoIndex:
    """The index of a file that has other times than its frames."""
    # The ends were looked for by these times: that is void, too.
    times = np.arange(
        len(right.times) if right.complete else index.num_promised)
    return replace(
        index,
        times=times,
        num_promised=max(index.num_promised, len(times)),
        has_odd_times=True,
        positions=np.empty(0, np.int64),
        sizes=np.empty(0, np.int64),
        fault='the times in the file are not those of its frames')


def _set_run_up(reader: PyAVReader, index: VideoIndex, places: Sequence[int],
                right: Prefix) -> str:
    """Give a reader the index with which it reads right; what is left wrong.
    """
    for run_up in _RUN_UPS:
        if right.gradual and run_up < _LEAST_OF_GRADUAL:
            continue
        reader._index = replace(index, run_up=run_up)
        fault = find_fault(reader, places, right.pictures)
        if not fault:
            break
    return fault


def _jpegs_are_right(path: str, index: VideoIndex, places: Sequence[int],
                     right: Prefix) -> bool:
    """Whether they may be read at their places in the file."""
    jpegs = MJPEGReader(path)
    jpegs._index = index
    # Where checksums tell of damage no other reader is to conceal it.
    checked = any(jpegs.has_checksum(place) for place in places)
    fault = '' if checked else find_fault(jpegs, places, right.pictures)
    jpegs.close()
    return not fault


def _far_fault(path: str, reader: PyAVReader, place: int) -> str:
    """Compare a place far from the start with a stretch decoded to it.

    The place is taken soon behind the key frame before ``place``. The stretch
    begins a key frame earlier than a read would, so it proves order and
    pictures there. That as many frames lie before it as packets is taken on
    trust.
    """
    index = reader.index
    pixels = max(1, index.width * index.height)
    key = index.key_number(int(index.times[place]))
    run_up = min(key, 1 + index.run_up)
    begin, first = np.searchsorted(
        index.times, index.key_times[[key - run_up, key]]).tolist()
    place = min(place, first + near_length(pixels))
    if (place - begin) * pixels > 2 * PREFIX_PIXELS:
        return ''  # a group of pictures that is this long costs too much
    wanted = around(place, index.num_frames)
    last = int(index.times[wanted[-1]])
    times: List[Optional[int]] = []
    pictures: Dict[int, tuple] = {}
    container, stream = open_film(path)
    with container:
        try:
            packets = seek_to_key(container, stream, index.key_times,
                                  key - run_up)
            start = sound_from(index.key_times, key, run_up)
            packets = checked_packets(packets, index, key - run_up)
            decoder = FilmDecoder(path, stream, from_start=key == run_up)
            all_count = False  # those that nothing refers to, too
            for packet in whole_packets(packets):
                all_count |= packet.pts == index.key_times[key]
                decoder.skip_unless(all_count)
                for frame in decode_after_seek(decoder, packet, start):
                    times.append(frame.pts)
                    number = index.find(frame.pts)
                    if number in wanted and not frame.is_corrupt:
                        pictures[number] = summarize(reader.to_rgb(frame))
                if times and times[-1] is not None and times[-1] >= last:
                    break
        except (av.error.FFmpegError, LookupError, ValueError):
            return ''  # damaged there
    shown = [t for t in times if t is not None and t >= index.times[first]]
    expected = index.times[first:wanted[-1] + 1].tolist()
    if shown[:len(expected)] != expected:
        return (f'between frames {first} and {place} others come out of the '
                'decoder than the file lists')
    return find_fault(reader, [place], pictures)
