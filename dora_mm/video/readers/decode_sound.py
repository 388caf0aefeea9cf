from typing import Any, Iterable, Iterator, Optional, Tuple

from av.error import FFmpegError

from .film_decoder import FilmDecoder
from .open_film import is_end


def decode_sound(decoder: FilmDecoder,
                 packets: Iterable[Tuple[Any, bool]],
                 errors_from: Optional[int],
                 run_up: int = 0) -> Iterator[Any]:
    """Decode a stretch, and leave out what damage may reach.

    From a packet on that is damaged or that the decoder refuses, or a frame
    that it calls corrupt, nothing is decoded up to the next key frame, as
    frames in between refer to it, those shown before it not excepted. What
    was decoded before comes out.

    Args:
        decoder (FilmDecoder): Of the film; it is renewed behind damage.
        packets (Iterable[tuple[av.Packet, bool]]): Of
            :func:`checked_packets`, from a key frame on.
        errors_from (int, optional): The time from which on a refused packet
            counts, see :func:`sound_from`. None if packets have no times that
            tell their frames: nothing comes out behind the first damage.
        run_up (int): How many key frames more it takes from a key frame until
            pictures are whole. Defaults to 0.

    Yields:
        av.VideoFrame: A frame.
    """
    missing = 0  # key frames until frames count again
    shown_from: Optional[int] = None
    begun = False
    for packet, whole in packets:
        if whole and missing and packet.is_keyframe:
            missing -= 1
            shown_from = packet.pts
        if whole and missing > run_up:
            continue
        frames = []
        if whole:
            try:
                frames = decoder.decode(packet)
            except FFmpegError:
                whole = not _counts(packet, errors_from, begun)
        if not whole:
            if errors_from is None:  # some that it holds lie behind a gap
                return
            frames = [] if missing else _drain(decoder)
        for frame in frames:
            begun = True
            if missing or shown_from is not None and frame.pts < shown_from:
                continue
            if frame.is_corrupt and _counts(frame, errors_from, begun):
                whole = False
                break
            yield frame
        if not whole:
            decoder.renew()
            missing = 1 + run_up
        begun = begun and not is_end(packet)


def _counts(what: Any, errors_from: Optional[int], begun: bool) -> bool:
    """Whether the decoder's error is one of the file."""
    if errors_from is None:
        return begun
    return what.pts is None or what.pts >= errors_from


def _drain(decoder: FilmDecoder) -> list:
    try:
        return decoder.decode(None)
    except FFmpegError:
        return []
