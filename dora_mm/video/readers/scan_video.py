"""Make the index of a video file; imports PyAV."""
import os
from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import dropwhile
from typing import Iterable, Iterator, List, Optional, Tuple

import av
import numpy as np

from .cluster_sums import lie_within, missing_frames, sound_clusters
from .container_crop import container_crop
from .decodable_end import decodable_end
from .ffmpeg_command import ffmpeg_command
from .film_decoder import FilmDecoder
from .head_sums import own_head_fits
from .mean_rate import mean_rate
from .num_recordings import num_recordings
from .open_film import film_packets, is_end, open_film
from .packet_sums import header_sum, own_sum_fits, packet_sum
from .video_decode_error import VideoDecodeError
from .video_index import VideoIndex


@dataclass
class _Packets:
    """What one pass over the packets of a stream finds, in its order."""
    times: array = field(default_factory=lambda: array('q'))
    positions: array = field(default_factory=lambda: array('q'))
    sizes: array = field(default_factory=lambda: array('q'))
    key_times: array = field(default_factory=lambda: array('q'))
    sums: array = field(default_factory=lambda: array('I'))
    key_packets: array = field(default_factory=lambda: array('q'))
    num_hidden: int = 0
    has_open_gop: bool = False
    has_odd_times: bool = False
    fault: str = ''

    def add(self, packet, time: int) -> None:
        """Note when a packet is shown."""
        if packet.is_keyframe:
            self.key_times.append(time)
        elif time < self.key_times[-1]:
            self.has_open_gop = True
        if packet.is_discard:
            self.num_hidden += 1
        else:
            self.times.append(time)


def _scan_entries(stream) -> _Packets:
    """From the container's own index, without reading the file.

    Enough for JPEGs, whose times of decoding and of presentation are equal.
    """
    packets = _Packets()
    for entry in stream.index_entries:
        packets.key_times.append(entry.timestamp)
        if entry.is_discard:
            packets.num_hidden += 1
            continue
        packets.times.append(entry.timestamp)
        packets.positions.append(entry.pos)
        packets.sizes.append(entry.size)
    return packets


def _are_signed(path: str, packets: _Packets) -> bool:
    """Whether JPEGs hold their checksums: most of the three looked at."""
    last, num_signed = len(packets.sizes) - 1, 0
    if last < 0:
        return False
    with open(path, 'rb') as file:
        for number in (0, last // 2, last):
            file.seek(packets.positions[number])
            found = own_sum_fits(file.read(packets.sizes[number]))
            num_signed += found is not None
    return num_signed > 1


def _scan_packets(path: str, container, stream) -> _Packets:
    """From one pass over the file, as :func:`film_packets` goes."""
    packets = _Packets()
    signed: List[Optional[bool]] = []
    corrupt: List[bool] = []
    places = array('q')
    times: List[int] = []
    # Only decoders of these codecs hold frames back, so elsewhere the order
    # of decoding is that of presentation.
    reorders = stream.codec_context.has_b_frames
    try:
        for packet in _complete(film_packets(container, stream)):
            if is_end(packet):  # another recording follows
                packets.has_odd_times = True
                # Its packets are not numbered on, so the demuxer calls one
                # of the last corrupt.
                corrupt[-2:] = [False] * len(corrupt[-2:])
                continue
            if packet.is_keyframe:
                packets.key_packets.append(len(signed))
            signed.append(own_sum_fits(packet))
            corrupt.append(packet.is_corrupt)
            places.append(-1 if packet.pos is None else packet.pos)
            packets.sums.append(packet_sum(packet, packet.pts))
            time = packet.pts
            if time is None:
                time = packet.dts
                if time is None or reorders:
                    packets.has_odd_times = True
                    time = 0
            times.append(time)
            packets.add(packet, time)
    except av.error.FFmpegError:
        # What comes after the damage cannot be reached by a reader either.
        pass
    sound = _are_sound(path, container, packets, signed, times, places)
    for number in np.flatnonzero(~sound | np.array(corrupt, bool)):
        packets.sums[number] ^= 0xffffffff  # a number that does not fit
    return packets


def _complete(packets: Iterable) -> Iterator:
    """Packets without the one that a file ends in, and without empty ones.

    Those between recordings are not left out. One that a demuxer calls
    corrupt and that others follow lacks a part, as after a disturbance of a
    broadcast.
    """
    waiting: List = []
    for packet in packets:
        if packet.size or is_end(packet):
            waiting.append(packet)
        if packet.size and not packet.is_corrupt:
            yield from waiting
            waiting.clear()


def _are_sound(path: str, container, packets: _Packets,
               signed: List[Optional[bool]], times: List[int],
               places: array) -> np.ndarray:
    """Which packets fit the checksums that the file holds; bool (P, ).

    Args:
        path (str): The file.
        container (av.InputContainer): Of the file.
        packets (_Packets): P of them; frames that are missing are noted.
        signed (list[bool | None]): P, whether the checksum in each fits.
        times (list[int]): P, presentation times.
        places (array): P, offsets in bytes, -1 of none.
    """
    if 2 * sum(fits is not None for fits in signed) > len(signed):
        # Damage may have taken the checksum itself.
        return np.array([bool(fits) for fits in signed])
    if container.format.name.startswith('matroska'):
        clusters = sound_clusters(path)
        if clusters is not None:
            offsets = np.array(places, np.int64)
            packets.fault = missing_frames(path, offsets, times, clusters)
            return lie_within(offsets, clusters)
    return np.ones(len(signed), bool)


def _first_shown(path: str) -> Optional[int]:
    """Time of the first frame that comes out of a decoder, if any does."""
    container, stream = open_film(path)
    with container:
        decoder = FilmDecoder(path, stream)
        for packet in film_packets(container, stream):
            try:
                for frame in decoder.decode(packet):
                    if frame.pts is not None and not frame.is_corrupt:
                        return frame.pts
            except av.error.FFmpegError:
                pass  # it refers to frames that were cut off
    return None


def _num_lost(path: str, times, key_times) -> int:
    """Frames shown before the first key frame whose references were cut off.

    Args:
        path (str): The file.
        times (np.ndarray): int64 (N, ), ascending.
        key_times (np.ndarray): int64 (M, ), ascending.
    """
    if not len(key_times) or times[0] >= key_times[0]:
        return 0
    shown = _first_shown(path)
    return 0 if shown is None else int(np.searchsorted(times, shown))


def scan_video(path: str) -> VideoIndex:
    """Make the index of a file, and check that its last frames decode.

    Reads the file once from end to end (prepared files of JPEGs not at all),
    and decodes one key frame and the last group of pictures.

    Args:
        path (str): The file.

    Returns:
        VideoIndex: With ``num_frames`` 0 if no frame can be decoded.

    Raises:
        VideoDecodeError: If the file is not a video, or holds recordings that
            are not read.
        ValueError: If the header of a prepared one has changed.
    """
    if own_head_fits(path) is False:
        raise ValueError(f'{path!r} is damaged: its header has changed since '
                         'it was prepared. Copy it again, or make it anew '
                         'with python tools/prepare_video.py --overwrite')
    try:
        container, stream = open_film(path)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoDecodeError(
            path, f'its {os.path.getsize(path)} bytes cannot be opened as a '
            f'video, since they are cut short or none ({error.strerror})',
            'Download it again or leave it out') from error
    with container:
        number = num_recordings(path, container.format.name)
        if number > 1:
            raise VideoDecodeError(
                path, f'it must hold one recording, but got {number}, joined '
                'byte by byte, of which FFmpeg reads the first alone',
                'Use the recordings themselves, or keep the first: ' +
                ffmpeg_command('-i FILE -c copy OUT.mp4'))
        return _index_of(path, container, stream)


def _packets_of(path: str, container, stream) -> Tuple[_Packets, bool]:
    """All packets, and whether the container tells the places of JPEGs."""
    is_jpeg = (_is_complete(stream)
               and stream.codec_context.codec.canonical_name == 'mjpeg')
    entries = _scan_entries(stream) if is_jpeg else None
    if entries is not None and _are_signed(path, entries):
        return entries, True
    packets = _scan_packets(path, container, stream)
    is_jpeg = entries is not None and entries.times == packets.times
    if is_jpeg:
        packets.positions, packets.sizes = entries.positions, entries.sizes
    return packets, is_jpeg


def _is_complete(stream) -> bool:
    """Whether the container's own index is of the length promised."""
    return 0 < stream.frames == len(stream.index_entries)


def _num_missing(stream, packets: _Packets) -> int:
    """Packets that the container's own index lists, and that are not there.

    Those in front of the first key frame are there, but of no use.
    """
    if not _is_complete(stream):
        return 0
    entries = dropwhile(lambda entry: not entry.is_keyframe,
                        stream.index_entries)
    listed = sum(1 for _ in entries)
    return max(0, listed - len(packets.times) - packets.num_hidden)


def _index_of(path: str, container, stream) -> VideoIndex:
    header = header_sum(path, stream)
    packets, is_jpeg = _packets_of(path, container, stream)
    times = np.array(packets.times, np.int64)
    order = np.argsort(times, kind='stable')
    times = times[order]
    key_times = np.array(packets.key_times, np.int64)
    key_order = np.argsort(key_times, kind='stable')
    key_times = key_times[key_order]
    positions, sizes = (
        np.array(a, np.int64)[order] if is_jpeg else np.empty(0, np.int64)
        for a in (packets.positions, packets.sizes))
    odd = packets.has_odd_times or bool((np.diff(times) == 0).any())

    num_cut = _num_missing(stream, packets)
    promised = len(times) + num_cut
    if is_jpeg:
        whole = positions + sizes <= os.path.getsize(path)
        num_cut += int((~whole).sum())
        times, positions, sizes = times[whole], positions[whole], sizes[whole]
    begin, end = 0, len(times)
    if len(times) and not odd:
        begin = _num_lost(path, times, key_times)
        if container.format.name != 'mpegts':
            end = decodable_end(path, times, key_times, is_jpeg)
    good = slice(begin, end)
    times = times[good]
    time_base, stated = stream.time_base, Fraction(stream.average_rate or 0)
    return VideoIndex(
        # Not the decoder's own name, which is 'libdav1d' for AV1.
        codec=stream.codec_context.codec.canonical_name,
        container=container.format.name,
        stated_fps=stated or mean_rate(stated, times, time_base),
        times=times,
        time_base=time_base,
        key_times=key_times,
        positions=positions[good],
        sizes=sizes[good],
        packet_sums=np.array(packets.sums, np.uint32),
        key_packets=np.array(packets.key_packets, np.int64)[
            key_order if len(packets.sums) else slice(0)],
        header_sum=header,
        num_promised=promised - begin,
        num_cut=promised - begin - len(times) if num_cut else 0,
        has_edit_list=packets.num_hidden > 0,
        has_open_gop=packets.has_open_gop,
        has_odd_times=odd,
        crop=container_crop(stream),
        fault=packets.fault)
