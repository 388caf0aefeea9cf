import os
import warnings
from itertools import dropwhile
from typing import Iterator, List, NamedTuple, Optional

import av

from .video_info import VideoInfo

_REPAIR = ('Check it with `ffmpeg -v error -i FILE -f null -`, then download '
           'it again or leave it out.')


class _Key(NamedTuple):
    """A key frame: packets before it, timestamp to seek, offset in bytes."""
    number: int
    time: int
    offset: int


class _Packets(NamedTuple):
    """Index of a stream: what is needed to check its end."""
    num_frames: int
    num_cut: int
    keys: List[_Key]


def _packets_of_index(stream, file_size: int) -> _Packets:
    """Packets from the container's own index, without reading the file."""
    num_cut = 0
    keys = []
    for number, entry in enumerate(stream.index_entries):
        num_cut += entry.pos >= file_size
        if entry.is_keyframe:
            keys.append(_Key(number, entry.timestamp, entry.pos))
    return _Packets(len(stream.index_entries), num_cut, keys)


def _packets_by_reading(container, stream) -> _Packets:
    """Packets counted in one pass over the file, for mkv and the like."""
    number = 0
    keys = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0:  # the empty packet that ends the stream
                continue
            if packet.is_keyframe:
                time = packet.dts if packet.pts is None else packet.pts
                keys.append(_Key(number, time or 0, packet.pos))
            number += 1
    except av.error.FFmpegError:
        # What comes after the damage cannot be reached by a reader either.
        pass
    return _Packets(number, 0, keys)


def _packets_from(container, stream, key: _Key) -> Iterator:
    """Packets from a key frame on, the empty one at the end included.

    The seek may stop at the key frame before, because an index holds decoding
    times and the demuxer compares presentation times.
    """
    container.seek(key.time, stream=stream)
    packets = container.demux(stream)
    return dropwhile(lambda p: p.size and p.pos != key.offset, packets)


def _key_decodes(container, stream, key: _Key) -> bool:
    """Whether a key frame can be decoded by itself."""
    try:
        packet = next(_packets_from(container, stream, key))
        frames = stream.codec_context.decode(packet)
        frames += stream.codec_context.decode(None)
        return len(frames) > 0
    except (av.error.FFmpegError, StopIteration):
        return False


def _last_good_key(container, stream, keys: List[_Key]) -> Optional[_Key]:
    """The last key frame that decodes; None if there is none.

    Takes damage to reach to the end of the file, so a bisection will do.
    """
    if not keys or not _key_decodes(container, stream, keys[0]):
        return None
    if _key_decodes(container, stream, keys[-1]):
        return keys[-1]
    good, bad = 0, len(keys) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if _key_decodes(container, stream, keys[middle]):
            good = middle
        else:
            bad = middle
    return keys[good]


def _num_decodable(container, stream, packets: _Packets) -> int:
    """Frames up to the last one that decodes, checked from the end.

    The cost is one group of pictures, however long the file.
    """
    key = _last_good_key(container, stream, packets.keys)
    if key is None:
        return 0
    expected = got = 0
    first_pts = None
    try:
        for packet in _packets_from(container, stream, key):
            if packet.size and packet.pts is not None:
                first_pts = packet.pts if first_pts is None else first_pts
                # Pictures shown before the key frame belong to the group
                # before, and decoders leave them out after a seek.
                expected += packet.pts >= first_pts
            for frame in packet.decode():
                if frame.pts is not None and first_pts is not None:
                    got += frame.pts >= first_pts
    except av.error.FFmpegError:
        return key.number + got
    if packets.num_cut > 0:
        return key.number + got
    return packets.num_frames - (expected - got)


def probe_video(path: str) -> VideoInfo:
    """Describe a video file, and check that its last frames decode.

    Reads the container's index and decodes one key frame and the last group
    of pictures: well below a second for HD, a few seconds for 4K, whatever
    the length. Only containers without an index (mkv, webm, fragmented mp4)
    are read through once.

    Damage in the middle of a file is not looked for; a clip there is replaced
    when it is met.

    Args:
        path (str): The file.

    Returns:
        VideoInfo: The description. If frames at the end cannot be decoded, a
        warning is given and ``num_frames`` is the smaller number.

    Raises:
        ValueError: If the file is not a video or nothing in it can be
            decoded. The message names file and remedy.
    """
    try:
        container = av.open(path)
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(
            f'{path!r} ({os.path.getsize(path)} bytes) cannot be opened as a '
            f'video: {error}. It may be cut short, or no video at all. '
            'Download it again or leave it out.') from error
    with container:
        if not container.streams.video:
            raise ValueError(f'{path!r} has no video stream. Leave it out.')
        stream = container.streams.video[0]
        stream.thread_type = 'AUTO'
        if not stream.average_rate:
            raise ValueError(
                f'{path!r} does not say its frames per second. Rewrite it '
                'with `ffmpeg -i FILE -c copy OUT.mp4`.')
        # An index that is not of the length promised is not complete.
        if 0 < stream.frames == len(stream.index_entries):
            packets = _packets_of_index(stream, os.path.getsize(path))
        else:
            packets = _packets_by_reading(container, stream)
        num_frames = _num_decodable(container, stream, packets)
        fps = float(stream.average_rate)
        # Not the decoder's own name, which is 'libdav1d' for AV1.
        codec = stream.codec_context.codec.canonical_name
    if num_frames == 0:
        raise ValueError(f'no frame of {path!r} can be decoded, though it '
                         f'promises {packets.num_frames}. {_REPAIR}')
    if num_frames < packets.num_frames:
        warnings.warn(
            f'{path!r} promises {packets.num_frames} frames, but frame '
            f'{num_frames} and those after it cannot be decoded: only the '
            f'first {num_frames} are used. {_REPAIR}')
    num_cut = packets.num_frames - num_frames if packets.num_cut else 0
    return VideoInfo(path, num_frames, fps, codec, num_cut)
