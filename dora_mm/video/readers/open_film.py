import math
from typing import Any, Iterator, Tuple

import av

# FFmpeg's AV_DISPOSITION_DEFAULT and AV_DISPOSITION_ATTACHED_PIC.
_DEFAULT, _ATTACHED_PICTURE = 0x1, 0x400
# What FFmpeg's command takes the first of these for, in pixels.
_WORTH_OF_DEFAULT = 5_000_000
# Times of decoding that step so far begin anew, as in FFmpeg's program:
# seconds; forwards in containers of broadcasts alone, which have no length.
_BACK, _AHEAD, _JOINED = .1, 10., ('mpegts', 'mpeg')
# A title may be of any encoding; PyAV 19 is not asked for that.
_ANY_TITLE = {}
if int(av.__version__.split('.')[0]) < 19:
    _ANY_TITLE = dict(metadata_errors='replace')


def open_film(path: str,
              num_threads: int = 1,
              conceals: bool = False) -> Tuple[Any, Any]:
    """Open a file, and find the stream to read.

    Cover art is a video stream of one picture: it is passed over. Of several
    streams it is the one that FFmpeg's command would choose, the largest or
    that which is marked. The decoder reports what is damaged instead of
    concealing it, and compares the checksums that HEVC may hold.

    Args:
        path (str): The file.
        num_threads (int): Decoder threads. Defaults to 1.
        conceals (bool): The decoder conceals damage after all, and marks the
            frames. Defaults to False.

    Returns:
        tuple: The container and the stream, of PyAV.

    Raises:
        ValueError: If there is no such stream. The message names the file.
        OSError: If the file cannot be opened.
    """
    # With the protocol, or a colon in the name would be taken for one.
    container = av.open(f'file:{path}', **_ANY_TITLE)
    films = [
        stream for stream in container.streams.video
        if stream.codec_context is not None  # FFmpeg knows its decoder
        and not int(stream.disposition) & _ATTACHED_PICTURE
    ]
    if not films:
        container.close()
        raise ValueError(f'{path!r} has no video stream that FFmpeg can '
                         'decode, cover art aside: leave it out')
    stream = max(films, key=_worth)
    stream.codec_context.thread_count = num_threads
    stream.codec_context.options = dict(
        err_detect='crccheck' if conceals else 'crccheck+explode')
    return container, stream


def _worth(stream: Any) -> int:
    marked = bool(int(stream.disposition) & _DEFAULT)
    return stream.width * stream.height + _WORTH_OF_DEFAULT * marked


def film_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of a film in one pass, from its first key frame on.

    What is stored before that refers to frames that were cut off. Decoders of
    MPEG-2 and MPEG-4 show it all the same, on grey, and say nothing. Of
    recordings that lie one behind the other each begins so.

    Args:
        container, stream: Of :func:`open_film`, not read from yet.

    Yields:
        av.Packet: A packet; behind each recording the empty one that ends a
        stream, see :func:`is_end`.
    """
    back, ahead = -_BACK / stream.time_base, _AHEAD / stream.time_base
    if container.format.name not in _JOINED:
        ahead = math.inf
    begun, before = False, None
    for packet in container.demux(stream):
        time = packet.dts
        if time is not None:
            step = 0 if before is None else time - before
            if begun and not back <= step <= ahead:
                yield av.Packet()
                begun = False
            before = time
        begun = begun or packet.is_keyframe
        if begun:
            yield packet


def is_end(packet: Any) -> bool:
    """Whether a packet is the empty one behind a recording.

    Args:
        packet (av.Packet): Of :func:`film_packets`. In AVI empty ones with a
            time stand for a frame that is shown again.
    """
    return packet.size == 0 and packet.dts is None
