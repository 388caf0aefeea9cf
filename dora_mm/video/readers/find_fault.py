"""Compare what a reader returns with pictures that are known."""
from typing import Dict, List, Sequence

import numpy as np

from .decode_prefix import summarize
from .pyav_reader import PyAVReader
from .video_index import VideoIndex
from .video_reader import VideoReader

_NEAR_PLACES = 4
_PLACES_AT_ONCE = 3  # as many frames as a clip has
# What is near its key frame: 30 frames of 4K.
_NEAR_PIXELS = 2.5e8
# Mean difference of samples that another decoder's arithmetic may make.
_TOLERANCE = 3.


def near_length(pixels: int) -> int:
    """How many frames behind a key frame are read without much cost.

    Args:
        pixels (int): Of a frame.
    """
    return max(8, int(_NEAR_PIXELS / max(1, pixels)))


def places_to_read(index: VideoIndex, stop: int, pixels: int) -> List[int]:
    """Frames to read: at random, both ends, and at key frames.

    One may be anywhere, and the one before a key frame is the last of a group
    of pictures, which takes seconds in 4K: with the end they are read at once.
    All others are near a key frame.

    Args:
        index (VideoIndex): Of the film.
        stop (int): Only frames below this.
        pixels (int): Of a frame.

    Returns:
        list[int]: Numbers of frames.
    """
    rng = np.random.default_rng(0)
    keys = np.flatnonzero(np.isin(index.times[:stop], index.key_times))
    numbers = np.arange(stop)
    depths = numbers
    if len(keys):
        depths = numbers - keys[np.searchsorted(keys, numbers, 'right') - 1]
    near = numbers[depths < near_length(pixels)]
    places = {0, *rng.choice(near, _NEAR_PLACES).tolist()}
    deep = {int(rng.integers(stop)), stop - 1}
    if len(keys) > 1:
        places.add(int(keys[-1]))
        deep.add(int(keys[1]))
    return [*sorted(deep), *rng.permutation(sorted(places - deep)).tolist()]


def around(number: int, stop: int) -> List[int]:
    """A frame and its neighbours.

    Args:
        number (int): The frame.
        stop (int): Only frames below this.
    """
    return list(range(max(0, number - 1), min(stop, number + 2)))


def _same(picture: np.ndarray, number: int, pictures: Dict[int, tuple],
          exact: bool) -> bool:
    got, right = summarize(picture), pictures[number]
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
