"""A number in a picture that survives scaling and lossy compression.

21 cells in two rows along the lower edge: the bits of the number, lowest
first, and a parity bit. The lower row is the complement of the upper one, so
a cell is read by comparing it with its neighbour, and a mixture of two frames
or a blank one is not taken for a number.
"""
from typing import Iterator, Optional, Tuple

import numpy as np

NUM_BITS = 20
_DARK, _BRIGHT = 32, 224
# Least difference of the two rows in a cell; undamaged it is 192.
_MIN_CONTRAST = 64
# Share of the frame: outer margins, lower and upper edge of both rows.
_MARGIN, _TOP, _MIDDLE, _BOTTOM = 0.02, 0.86, 0.92, 0.98


def _cells(height: int, width: int,
           shrink: float) -> Iterator[Tuple[slice, slice, slice]]:
    """Upper rows, lower rows and columns of each cell.

    ``shrink`` is the share that is left out at each side of a cell.
    """
    inner = shrink * (_MIDDLE - _TOP)
    upper = slice(
        round((_TOP + inner) * height), round((_MIDDLE - inner) * height))
    lower = slice(
        round((_MIDDLE + inner) * height), round((_BOTTOM - inner) * height))
    step = (1 - 2 * _MARGIN) / (NUM_BITS + 1)
    for i in range(NUM_BITS + 1):
        left = _MARGIN + i * step
        yield upper, lower, slice(
            round((left + shrink * step) * width),
            round((left + (1 - shrink) * step) * width))


def draw_number(frame: np.ndarray, number: int) -> None:
    """Draw a number into a frame, in place.

    Args:
        frame (np.ndarray): RGB, uint8 (H, W, 3), at least 160 x 90 pixels.
        number (int): In [0, 2**20).

    Raises:
        ValueError: If the number is out of range.
    """
    if not 0 <= number < 2**NUM_BITS:
        raise ValueError(f'number must be in [0, {2**NUM_BITS}), but got '
                         f'{number}: make a shorter video')
    bits = [number >> i & 1 for i in range(NUM_BITS)]
    bits.append(sum(bits) % 2)
    for bit, (upper, lower, columns) in zip(bits, _cells(*frame.shape[:2], 0)):
        frame[upper, columns] = _BRIGHT if bit else _DARK
        frame[lower, columns] = _DARK if bit else _BRIGHT


def read_number(frame: np.ndarray) -> Optional[int]:
    """Read the number of a frame of any resolution.

    Args:
        frame (np.ndarray): RGB, uint8 (H, W, 3), the whole picture, scaled or
            not, at least 160 x 90 pixels.

    Returns:
        int | None: The number, or None if the frame carries none that is
        beyond doubt.
    """
    bits = []
    for upper, lower, columns in _cells(*frame.shape[:2], 0.25):
        contrast = (
            float(frame[upper, columns].mean()) -
            float(frame[lower, columns].mean()))
        if abs(contrast) < _MIN_CONTRAST:
            return None
        bits.append(int(contrast > 0))
    if sum(bits[:-1]) % 2 != bits[-1]:
        return None
    return sum(bit << i for i, bit in enumerate(bits[:-1]))
