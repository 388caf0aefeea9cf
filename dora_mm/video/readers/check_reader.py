"""Compare what a reader returns with decoding that uses no index."""
import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

import av
import numpy as np
from av.video.frame import PictureType

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.read_json import read_json
from dora_mm.video.display import Display
from dora_mm.video.file_identity import file_identity
from .film_decoder import FilmDecoder
from .load_video_index import index_file, load_video_index
from .mjpeg_reader import MJPEGReader
from .open_film import film_packets, open_film
from .packet_sums import checked_packets
from .pyav_reader import PyAVReader
from .seek_to_key import decode_after_seek, seek_to_key, sound_from
from .video_index import VideoIndex
from .video_reader import VideoReader

# Pixels decoded from the first frame on: 300 frames of 4K, all of most small
# files. Some 6 seconds of one core.
_PREFIX_PIXELS = 2.5e9
_PREFIX_OF_JPEGS = 16  # frames
_RANDOM_PLACES = 5
_PLACES_AT_ONCE = 3  # as many frames as a clip has
_FAR_PLACES = (0.5, 0.95)  # of the film
# A place far away is so near to its key frame: 30 frames of 4K.
_FAR_PIXELS = 2.5e8
# Key frames by which a read may have to start earlier, where the first ones
# are not enough.
_RUN_UPS = (0, 1, 2, 4, 8)
# In streams that are refreshed little by little: one group of pictures until
# all is there, and one in which errors count, as frames refer to all of it.
_LEAST_OF_GRADUAL = 2
# Mean difference of samples that another decoder's arithmetic may make.
_TOLERANCE = 3.


@dataclass
class _Pass:
    """What decoding from the first frame on gives, counted as it comes out.

    Attributes:
        times (list): Presentation time of each frame, as the decoder says.
        pictures (dict): Digest and samples of the frames wanted.
        complete (bool): The film was decoded to its end without an error.
        size (tuple[int, int]): Width and height of the first, as shown.
        gradual (bool): A frame that was called a key frame refers to others.
    """
    times: List[Optional[int]] = field(default_factory=list)
    pictures: Dict[int, tuple] = field(default_factory=dict)
    complete: bool = False
    size: tuple = (0, 0)
    gradual: bool = False


def _summary(picture: np.ndarray) -> tuple:
    """Digest, and a few samples, of a picture (H, W, 3)."""
    rows, columns = (max(1, n // 48) for n in picture.shape[:2])
    return (zlib.crc32(np.ascontiguousarray(picture)), picture.shape,
            picture[::rows, ::columns].astype(np.int16))


def _whole(packets: Iterable[tuple]) -> Iterator[Any]:
    """Packets of :func:`checked_packets`, up to the first damaged one."""
    for packet, whole in packets:
        if not whole:
            raise ValueError('its checksum differs')
        yield packet


def _decode_prefix(path: str, wanted: Sequence[int], reader: PyAVReader,
                   stop: int) -> _Pass:
    """Decode from the first frame on, without seek and index."""
    result = _Pass()
    wanted = set(wanted)
    container, stream = open_film(path)
    with container:
        try:
            packets = checked_packets(
                film_packets(container, stream), reader.index)
            decoder = FilmDecoder(path, stream)
            for frame in chain.from_iterable(
                    map(decoder.decode, _whole(packets))):
                if frame.is_corrupt:
                    break
                number = len(result.times)
                if number == 0:
                    display = Display.of(frame, reader.index.crop, stream)
                    result.size = display.shown_size(frame)
                result.times.append(frame.pts)
                result.gradual |= (
                    frame.pict_type != PictureType.I
                    and reader.index.is_key(frame.pts))
                if number in wanted:
                    picture = reader.to_rgb(frame, stream, result.size)
                    result.pictures[number] = _summary(picture)
                if number + 1 >= stop:
                    break
            else:
                result.complete = True
        except (av.error.FFmpegError, ValueError):
            pass
    return result


def _places(index: VideoIndex, stop: int) -> List[int]:
    """Frames to read: at random, the ends, and around a key frame."""
    rng = np.random.default_rng(0)
    places = set(rng.integers(stop, size=_RANDOM_PLACES).tolist())
    keys = np.flatnonzero(np.isin(index.times[:stop], index.key_times))
    if len(keys) > 1:
        places |= {int(keys[-1]), int(keys[1])}
    return rng.permutation(sorted(places | {0, stop - 1})).tolist()


def _around(number: int, stop: int) -> List[int]:
    return list(range(max(0, number - 1), min(stop, number + 2)))


def _same(picture: np.ndarray, number: int, pictures: Dict[int, tuple],
          exact: bool) -> bool:
    got, right = _summary(picture), pictures[number]
    if exact or got[1] != right[1] or got[0] == right[0]:
        return got[:2] == right[:2]
    gaps = {
        n: float(np.abs(got[2] - pictures[n][2]).mean())
        for n in (number - 1, number, number + 1)
        if n in pictures and pictures[n][1] == got[1]
    }
    return gaps[number] <= min(_TOLERANCE, min(gaps.values()) + .5)


def find_fault(reader: VideoReader, places: Sequence[int],
               pictures: Dict[int, tuple]) -> str:
    """Read frames and their neighbours, and compare.

    Args:
        reader (VideoReader): The reader.
        places (Sequence[int]): Frame numbers.
        pictures (dict): Of decoding from the start, by number.

    Returns:
        str: What is wrong; empty if nothing is.
    """
    exact = isinstance(reader, PyAVReader)
    for first in range(0, len(places), _PLACES_AT_ONCE):
        some = places[first:first + _PLACES_AT_ONCE]
        numbers = sorted({
            n for place in some for n in (place - 1, place, place + 1)
            if n in pictures
        })
        if not numbers:
            continue
        try:
            frames = reader.get_frames(numbers)
        except ValueError as error:
            reason = getattr(error, 'reason', error)
            return (f'frames {numbers} come out when the file is decoded from '
                    f'its beginning, but not when they are sought ({reason})')
        for number, frame in zip(numbers, frames):
            if not _same(frame, number, pictures, exact):
                return (f'frame {number} is another picture when it is sought '
                        'than when the file is decoded from its beginning')
    return ''


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
    place = min(place, first + int(_FAR_PIXELS / pixels))
    if (place - begin) * pixels > 2 * _PREFIX_PIXELS:
        return ''  # a group of pictures that is this long costs too much
    wanted = _around(place, index.num_frames)
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
            for packet in _whole(packets):
                all_count |= packet.pts == index.key_times[key]
                decoder.skip_unless(all_count)
                for frame in decode_after_seek(decoder, packet, start):
                    times.append(frame.pts)
                    number = index.find(frame.pts)
                    if number in wanted and not frame.is_corrupt:
                        pictures[number] = _summary(reader.to_rgb(frame))
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
    """
    if not index.num_frames or index.container == 'mpegts':
        return index
    reader = PyAVReader(path)
    reader._index = index
    container, stream = open_film(path)
    with container:
        pixels = max(1, stream.width * stream.height)
    stop = min(index.num_promised + 1, max(16, int(_PREFIX_PIXELS / pixels)))
    if len(index.positions):
        stop = min(stop, _PREFIX_OF_JPEGS)
    places = _places(index, min(stop, index.num_frames))
    wanted = [n for p in places for n in _around(p, stop)]
    right = _decode_prefix(path, wanted, reader, stop)
    index = replace(index, width=right.size[0], height=right.size[1])
    counted = len(right.times)
    if (right.times != index.times[:counted].tolist()
            or right.complete and counted != index.num_frames):
        # The ends were looked for by these times: that is void, too.
        times = np.arange(counted if right.complete else index.num_promised)
        return replace(
            index,
            times=times,
            num_promised=max(index.num_promised, len(times)),
            has_odd_times=True,
            positions=np.empty(0, np.int64),
            sizes=np.empty(0, np.int64),
            fault='the times in the file are not those of its frames')
    for run_up in _RUN_UPS:
        if right.gradual and run_up < _LEAST_OF_GRADUAL:
            continue
        reader._index = replace(index, run_up=run_up)
        fault = find_fault(reader, places, right.pictures)
        if not fault:
            break
    for share in _FAR_PLACES:
        place = int(share * (index.num_frames - 1))
        if place >= counted and not fault and not len(index.positions):
            fault = _far_fault(path, reader, place)
    index = replace(reader.index, fault=index.fault or fault)
    reader.close()
    if len(index.positions):
        jpegs = MJPEGReader(path)
        jpegs._index = index
        # Where checksums tell of damage no other reader is to conceal it.
        checked = any(jpegs.has_checksum(place) for place in places)
        if not checked and find_fault(jpegs, places, right.pictures):
            none = np.empty(0, np.int64)
            index = replace(index, positions=none, sizes=none)
        jpegs.close()
    return index


def _digest(fault: str) -> str:
    return hashlib.sha256(fault.encode()).hexdigest()


def reader_fault(path: str, cls: type) -> str:
    """What a reader does wrong on a file; checked once per file and machine.

    Args:
        path (str): The file.
        cls (type): The reader; the verdict is saved beside the index.

    Returns:
        str: The first difference from decoding from the start; empty if none
        was found.
    """
    file = index_file(path).with_suffix(f'.{cls.__name__}.json')
    identity = dict(version=1, **file_identity(path))
    saved = read_json(file)
    if isinstance(saved, dict) and saved.get('identity') == identity:
        fault = saved.get('fault')
        if isinstance(fault, str) and saved.get('digest') == _digest(fault):
            return fault
    index = load_video_index(path)
    plain = PyAVReader(path)
    stop = min(index.num_frames,
               max(16, int(_PREFIX_PIXELS / max(1, index.width *
                                                index.height))))
    places = _places(index, stop)
    wanted = [n for p in places for n in _around(p, stop)]
    right = _decode_prefix(path, wanted, plain, stop)
    reader = cls(path)
    fault = find_fault(reader, places, right.pictures)
    reader.close()
    try:
        with atomic_file(file) as target:
            target.temporary.write_text(
                json.dumps(
                    dict(
                        identity=identity, fault=fault,
                        digest=_digest(fault))))
    except OSError:
        pass  # load_video_index has said so
    return fault
