"""Decode the beginning of a film in one pass, by no index."""
import zlib
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Set

import av
import numpy as np
from av.video.frame import PictureType

from dora_mm.video.display import Display
from .film_decoder import FilmDecoder
from .open_film import film_packets, open_film
from .packet_sums import checked_packets
from .pyav_reader import PyAVReader

# Pixels decoded from the first frame on: 300 frames of 4K, all of most small
# files. Some 6 seconds of one core.
PREFIX_PIXELS = 2.5e9


@dataclass
class Prefix:
    """What decoding from the first frame on gives, counted as it comes out.

    Attributes:
        times (list): Presentation time of each frame, as the decoder says.
        pictures (dict): Of the frames wanted, by number, see
            :func:`summarize`.
        complete (bool): The film was decoded to its end without an error.
        size (tuple[int, int]): Width and height of the first, as shown.
        gradual (bool): A frame that was called a key frame refers to others.
        turns (set[bytes | None]): Display matrices of the frames.
    """
    times: List[Optional[int]] = field(default_factory=list)
    pictures: Dict[int, tuple] = field(default_factory=dict)
    complete: bool = False
    size: tuple = (0, 0)
    gradual: bool = False
    turns: Set[Optional[bytes]] = field(default_factory=set)


def prefix_length(num_frames: int, pixels: int) -> int:
    """How many frames to decode from the first one on.

    Args:
        num_frames (int): Of the film.
        pixels (int): Of a frame.

    Returns:
        int: At most ``num_frames``.
    """
    return min(num_frames, max(16, int(PREFIX_PIXELS / max(1, pixels))))


def summarize(picture: np.ndarray) -> tuple:
    """Digest, shape and a few samples of a picture.

    Args:
        picture (np.ndarray): uint8 (H, W, 3).

    Returns:
        tuple[int, tuple, np.ndarray]: CRC-32, (H, W, 3), and int16 samples.
    """
    rows, columns = (max(1, n // 48) for n in picture.shape[:2])
    return (zlib.crc32(np.ascontiguousarray(picture)), picture.shape,
            picture[::rows, ::columns].astype(np.int16))


def whole_packets(packets: Iterable[tuple]) -> Iterator[Any]:
    """Packets of :func:`checked_packets`, up to the first damaged one.

    Args:
        packets (Iterable[tuple[av.Packet, bool]]): Packets.

    Yields:
        av.Packet: A packet.

    Raises:
        ValueError: At the first damaged one.
    """
    for packet, whole in packets:
        if not whole:
            raise ValueError('its checksum differs')
        yield packet


def decode_prefix(path: str, wanted: Sequence[int], reader: PyAVReader,
                  stop: int) -> Prefix:
    """Decode from the first frame on, without seek and index.

    Args:
        path (str): The film.
        wanted (Sequence[int]): Numbers of the frames to keep.
        reader (PyAVReader): Makes pictures of frames.
        stop (int): So many frames, up to damage.

    Returns:
        Prefix: What came out.
    """
    result = Prefix()
    wanted = set(wanted)
    container, stream = open_film(path)
    with container:
        try:
            packets = checked_packets(
                film_packets(container, stream), reader.index)
            decoder = FilmDecoder(path, stream)
            for frame in chain.from_iterable(
                    map(decoder.decode, whole_packets(packets))):
                if frame.is_corrupt:
                    break
                number = len(result.times)
                if number == 0:
                    display = Display.of(frame, reader.index.crop, stream)
                    result.size = display.shown_size(frame)
                result.times.append(frame.pts)
                result.turns.add(Display.matrix_of(frame))
                result.gradual |= (
                    frame.pict_type != PictureType.I
                    and reader.index.is_key(frame.pts))
                if number in wanted:
                    picture = reader.to_rgb(frame, stream, result.size)
                    result.pictures[number] = summarize(picture)
                if number + 1 >= stop:
                    break
            else:
                result.complete = True
        except (av.error.FFmpegError, ValueError):
            pass
    return result
