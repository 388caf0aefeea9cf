"""Where one shot of a film ends and the next begins."""
from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

# Rows and columns that a picture is reduced to, and the cells around one in
# which its content may be found again: what moves by up to two is no change.
_GRID = (18, 32)
_NEARBY = np.ones((5, 5), np.uint8)
# At a cut a frame differs from the one before the last by this at least, in
# levels of 255, and by this times more than frames within reach do.
_LEAST_CHANGE = 1.5
_LEAST_RATIO = 3.
_REACH = 6
# What rounding leaves of frames that do not change.
_FLOOR = 0.1


class Changes(NamedTuple):
    """How much N frames in a row change.

    Attributes:
        values (np.ndarray): float32 (N, 2). How much a frame differs from the
            one before, and from the one before that, in levels of 255. The
            first frame has zeros, the second the same number twice.
        first (np.ndarray): uint8 (up to 2, 18, 32, 3), the first frames in
            small, Y, U and V.
        last (np.ndarray): uint8 (up to 2, 18, 32, 3), the last ones.
    """
    values: np.ndarray
    first: np.ndarray
    last: np.ndarray


class ChangeMeter:
    """Measures how much a film changes while its frames pass.

    Two frames differ by what one shows and the other does not show nearby:
    each cell of the small picture is compared with the range of the cells
    around it. So a camera that pans changes little, and a cut within a pan
    stands out.

    Args:
        before (np.ndarray): uint8 (up to 2, 18, 32, 3), frames in small that
            come before. Defaults to none.
    """

    def __init__(self, before: Sequence[np.ndarray] = ()) -> None:
        self._values: List[Tuple[float, float]] = []
        self._first: List[_Small] = []
        self._last = list(map(_Small, before))

    def add(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """Look at a picture.

        Args:
            planes (Sequence[np.ndarray]): Y, U and V, uint8 (rows, columns),
                of any sizes.
            times (int): How many frames show it. Defaults to 1.
        """
        cells = np.dstack([
            cv2.resize(plane, _GRID[::-1], interpolation=cv2.INTER_AREA)
            for plane in planes
        ])
        self.add_small(cells, times)

    def add_small(self, cells: np.ndarray, times: int = 1) -> None:
        """Look at a picture that was made small before.

        Args:
            cells (np.ndarray): uint8 (18, 32, 3).
            times (int): How many frames show it. Defaults to 1.
        """
        small = _Small(cells)
        for _ in range(times):
            found = [small.distance(other) for other in self._last[::-1]]
            found = found + found[-1:] if found else [0., 0.]
            self._values.append((found[0], found[1]))
            self._first = (self._first + [small])[:2]
            self._last = (self._last + [small])[-2:]

    @property
    def result(self) -> Changes:
        """What was measured."""
        return Changes(
            np.array(self._values, np.float32).reshape(-1, 2),
            _stack(self._first), _stack(self._last))


class _Small:
    """A small picture with the range of the cells around each of its own."""

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells
        self._low = cv2.erode(cells, _NEARBY)
        self._high = cv2.dilate(cells, _NEARBY)

    def distance(self, other: '_Small') -> float:
        if self is other:
            return 0.
        return (self._outside(other) + other._outside(self)) / 2

    def _outside(self, other: '_Small') -> float:
        # Of the two differences one is negative, which OpenCV makes zero.
        outside = cv2.add(
            cv2.subtract(self.cells, other._high),
            cv2.subtract(other._low, self.cells))
        return float(outside.mean())


def _stack(pictures: Sequence[_Small]) -> np.ndarray:
    cells = [picture.cells for picture in pictures]
    return np.array(cells, np.uint8).reshape(-1, *_GRID, 3)


def join_changes(parts: Sequence[Changes]) -> np.ndarray:
    """Changes of frames from those of the stretches that they consist of.

    Args:
        parts (Sequence[Changes]): In order, N frames in all.

    Returns:
        np.ndarray: float32 (N, 2), see :class:`Changes`, also at the borders.
    """
    values, last = [], np.empty((0, *_GRID, 3), np.uint8)
    for part in parts:
        meter = ChangeMeter(last)
        for cells in part.first:
            meter.add_small(cells)
        values += [meter.result.values, part.values[2:]]
        last = np.concatenate([last, part.last])[-2:]
    return np.concatenate(values)


def find_cuts(values: np.ndarray) -> Tuple[int, ...]:
    """Find the cuts of a film.

    A cut is a change that neither the frames before nor those behind come
    near. A frame between that blends both shots, as a conversion of the frame
    rate makes it, does not hide it. A flash is none, as the picture comes
    back; so a shot of less than five frames is taken for a flash. Fades and
    dissolves are not found.

    Args:
        values (np.ndarray): float (N, 2), see :class:`Changes`.

    Returns:
        tuple[int, ...]: Numbers of the frames that begin a shot, ascending,
        from 1 to N - 1.
    """
    over_two = np.pad(values[:, 1], _REACH)
    num = len(values)
    # The frames next to a cut span it as well.
    others = np.max([
        over_two[_REACH + shift:_REACH + shift + num]
        for shift in range(-_REACH, _REACH + 1) if abs(shift) > 1
    ], 0)
    found = np.flatnonzero(
        (values[:, 1] >= _LEAST_CHANGE)
        & (values[:, 1] >= _LEAST_RATIO * np.maximum(others, _FLOOR)))
    runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    return tuple(
        int(run[values[run, 0].argmax()]) for run in runs if len(run))
