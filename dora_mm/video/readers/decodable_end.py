from contextlib import contextmanager
from typing import Iterator, List, Optional, Tuple

import av
import numpy as np

from .film_decoder import FilmDecoder
from .open_film import open_film
from .seek_to_key import decode_after_seek, seek_to_key, sound_from

# Frames before which a fault at the end of a file does not reach.
_LAST_FRAMES = 32


@contextmanager
def _decoding_from(path: str, key_times,
                   number: int) -> Iterator[Tuple[Iterator, FilmDecoder]]:
    """Packets from a key frame on, and a decoder that knows no error yet."""
    container, stream = open_film(path)
    with container:
        yield (seek_to_key(container, stream, key_times, number),
               FilmDecoder(path, stream, from_start=number == 0))


def _decoded_times(path: str, key_times, number: int) -> List[int]:
    """Times of the frames that come out from a key frame on, to the end.

    Decoding starts at the key frame, or at one before it if more comes out.
    """
    most: List[int] = []
    for run_up in range(min(number, 1) + 1):
        times = []
        start = sound_from(key_times, number, run_up)
        try:
            with _decoding_from(path, key_times,
                                number - run_up) as (packets, decoder):
                for packet in packets:
                    frames = decode_after_seek(decoder, packet, start)
                    times += [f.pts for f in frames if f.pts is not None]
            return times
        except (av.error.FFmpegError, LookupError):
            most = max(most, times, key=len)
    return most


def _key_decodes(path: str, key_times, number: int) -> bool:
    """Whether a key frame can be decoded by itself."""
    try:
        with _decoding_from(path, key_times, number) as (packets, decoder):
            packet = next(packets)
            frames = decoder.decode(packet) + decoder.decode(None)
            # One that an edit list hides comes out of no decoder.
            return len(frames) > 0 or packet.is_discard
    except (av.error.FFmpegError, StopIteration, LookupError):
        return False


def _is_found(path: str, key_times, number: int) -> bool:
    """Whether a seek finds a key frame; some parsers lose the first one."""
    try:
        with _decoding_from(path, key_times, number):
            return True
    except LookupError:
        return False


def _last_good_key(path: str, key_times, is_jpeg: bool) -> Optional[int]:
    """The last key frame that decodes; None if there is none.

    Takes damage to reach to the end of the file, so a bisection will do. Where
    the first one is damaged, the numbers of others are certain of JPEGs only.
    """
    last = len(key_times) - 1
    if last < 0:
        return None
    begins = _key_decodes(path, key_times, 0)
    if (begins or is_jpeg) and _key_decodes(path, key_times, last):
        return last
    if not begins:
        return None
    good, bad = 0, last
    while bad - good > 1:
        middle = (good + bad) // 2
        if _key_decodes(path, key_times, middle):
            good = middle
        else:
            bad = middle
    return good


def _last_frames_decode(path: str, times, key_times, number: int) -> bool:
    """Whether the last frames come out behind a key frame, without an error.

    Before them pictures that no other one refers to are left out.
    """
    begin = int(times[-_LAST_FRAMES:][0])
    missing = set(times[-_LAST_FRAMES:].tolist())
    key_time = int(key_times[number])
    try:
        with _decoding_from(path, key_times, number) as (packets, decoder):
            for packet in packets:
                decoder.skip_unless(packet.pts is None or packet.pts >= begin)
                frames = decode_after_seek(decoder, packet, key_time)
                missing -= {frame.pts for frame in frames}
    except (av.error.FFmpegError, LookupError):
        return False
    return not missing


def decodable_end(path: str, times: np.ndarray, key_times: np.ndarray,
                  is_jpeg: bool) -> int:
    """Number of frames before the undecodable ones at the end of a file.

    The cost is one group of pictures, however long the file.

    Args:
        path (str): The file.
        times (np.ndarray): int64 (N, ), ascending.
        key_times (np.ndarray): int64 (M, ), ascending.
        is_jpeg (bool): Whether each frame is a JPEG whose place is known.

    Returns:
        int: In [0, N].
    """
    key = _last_good_key(path, key_times, is_jpeg)
    if key is None:
        # What cannot be sought at all may come out in one pass.
        unsought = len(key_times) > 0 and not _is_found(path, key_times, 0)
        return len(times) if unsought else 0
    if _last_frames_decode(path, times, key_times, key):
        return len(times)
    decoded = _decoded_times(path, key_times, key)
    tail = times >= key_times[key]
    missing = np.flatnonzero(tail & ~np.isin(times, decoded))
    return int(missing[0]) if len(missing) else len(times)
