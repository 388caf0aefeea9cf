from typing import Any, Iterator, List, Sequence

from av.error import FFmpegError

from .film_decoder import FilmDecoder
from .packet_sums import own_sum_fits


def seek_to_key(container, stream, key_times: Sequence[int],
                number: int) -> Iterator:
    """Packets of a stream from a key frame on.

    Demuxers seek by times of decoding or of presentation, to the key frame
    or to one before or behind it; this finds the one asked for in any case.

    Args:
        container, stream: Of PyAV, open.
        key_times (Sequence[int]): Presentation times of the key frames,
            ascending.
        number (int): Which of them.

    Returns:
        Iterator: Packets; the first is the key frame, the last the empty one
        that ends the stream. The decoder is flushed.

    Raises:
        LookupError: If the file has no such key frame.
    """
    time = int(key_times[number])
    # Before the first key frame there may be times below its own; some
    # demuxers know none below zero.
    starts = [int(key_times[number])]
    back = 1
    while back <= number:
        starts.append(int(key_times[number - back]))
        back *= 2
    for target in (*starts, int(key_times[0]) - (1 << 40), 0):
        try:
            container.seek(target, stream=stream)
            packets = container.demux(stream)
        except FFmpegError:  # the demuxer knows no key frame so early
            continue
        for packet in packets:
            if not packet.is_keyframe or packet.pts is None:
                continue
            if packet.pts == time:
                return _chain(packet, packets)
            if packet.pts > time:
                break
    raise LookupError(f'there is no key frame at time {time}')


def _chain(first, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def sound_from(key_times: Sequence[int], number: int, run_up: int) -> int:
    """The time from which on an error of the decoder is one of the file.

    After a seek into the middle of a stream the decoder lacks pictures that
    the first ones refer to, or that H.264 tells it to drop; both are errors
    to it. A run-up is there to get past them: in its first group of pictures
    they do not count. From the first key frame of the file on nothing is
    lacking, nor before the key frame itself if there is no run-up.

    Args:
        key_times (Sequence[int]): Presentation times of the key frames,
            ascending.
        number (int): The key frame that frames are wanted from.
        run_up (int): By how many key frames earlier decoding starts.

    Returns:
        int: Presentation time, for :func:`decode_after_seek`.
    """
    first = max(0, number - run_up)
    if 0 < first < number:
        first += 1
    return int(key_times[first])


def decode_after_seek(decoder: FilmDecoder, packet: Any,
                      key_time: int) -> List[Any]:
    """Decode a packet; errors of frames shown before the key frame are none.

    In an open group of pictures these refer to the group before, which was
    not decoded, and nothing behind the key frame refers to them.

    Args:
        decoder (FilmDecoder): Of the film.
        packet (av.Packet): Of :func:`seek_to_key`.
        key_time (int): Presentation time from :func:`sound_from`.

    Returns:
        list[av.VideoFrame]: What comes out of the decoder.

    Raises:
        av.error.FFmpegError: If a later frame is damaged.
        LookupError: If the checksum that the packet holds differs.
    """
    if packet.size and own_sum_fits(packet) is False:
        raise LookupError(f'the packet at time {packet.pts} is damaged')
    try:
        return decoder.decode(packet)
    except FFmpegError:
        if packet.pts is None or packet.pts >= key_time:
            raise
        return []
