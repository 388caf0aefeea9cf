"""Where one shot of a film ends and the next begins."""
from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

# Rows and columns that a picture is reduced to, and the cells around one in
# which its content may be found again: what moves by up to two is no change.
_GRID = (18, 32)
_NEARBY = np.ones((5, 5), np.uint8)
# A frame is compared with this many before it, so a picture that comes back
# behind a flash of up to seven frames is recognised.
_SPAN = 8
# At a cut a frame differs from the one before by this at least, in levels of
# 255, and by this times more than all frames but one within reach do.
_LEAST_CHANGE = 1.5
_LEAST_RATIO = 3.
_REACH = 4
# All pairs of frames across a cut differ by this share of its change; less is
# left of a flash that fades. Beside another change two scenes may be more
# alike than either is to the black between them.
_LEAST_SHARE = 0.3
_LEAST_SHARE_BESIDE = 0.1
# A picture comes back if it differs by less than this times what the shots
# around change in as many frames.
_LEAST_MOTION = 2.
# What rounding leaves of frames that do not change.
_FLOOR = 0.1


class Changes(NamedTuple):
    """How much N frames in a row change.

    Attributes:
        values (np.ndarray): float32 (N, 8). How much a frame differs from
            those one to eight before it, in levels of 255. Where there are
            fewer the first one stands for the rest; it has zeros itself.
        first (np.ndarray): uint8 (up to 8, 18, 32, 3), the first frames in
            small, Y, U and V.
        last (np.ndarray): uint8 (up to 8, 18, 32, 3), the last ones.
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
        before (np.ndarray): uint8 (up to 8, 18, 32, 3), frames in small that
            come before. Defaults to none.
    """

    def __init__(self, before: Sequence[np.ndarray] = ()) -> None:
        self._values: List[np.ndarray] = []
        self._first: List[np.ndarray] = []
        # Cells, lowest and highest nearby of up to eight frames, the last one
        # first.
        self._last = np.empty((3, 0, 3 * _GRID[0] * _GRID[1]), np.uint8)
        for cells in before:
            self._keep(_with_range(cells))

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
        picture = _with_range(cells)
        for _ in range(times):
            found = np.zeros(1, np.float32)
            if self._last.shape[1]:
                found = _distances(picture, self._last)
            self._values.append(np.pad(found, (0, _SPAN - len(found)), 'edge'))
            if len(self._first) < _SPAN:
                self._first.append(cells)
            self._keep(picture)

    def _keep(self, picture: np.ndarray) -> None:
        self._last = np.concatenate([picture, self._last[:, :_SPAN - 1]], 1)

    @property
    def result(self) -> Changes:
        """What was measured."""
        shape = (-1, *_GRID, 3)
        return Changes(
            np.array(self._values, np.float32).reshape(-1, _SPAN),
            np.array(self._first, np.uint8).reshape(shape),
            self._last[0, ::-1].reshape(shape))


def _with_range(cells: np.ndarray) -> np.ndarray:
    """A small picture, lowest and highest nearby, uint8 (3, 1, 1728)."""
    return np.stack(
        [cells, cv2.erode(cells, _NEARBY),
         cv2.dilate(cells, _NEARBY)]).reshape(3, 1, -1)


def _distances(picture: np.ndarray, others: np.ndarray) -> np.ndarray:
    """From one picture to K others, all with their ranges: float32 (K, )."""
    picture = np.repeat(picture, others.shape[1], 1)
    total = _outside(picture[0], others) + _outside(others[0], picture)
    return (total / (2 * others.shape[2])).astype(np.float32)


def _outside(cells: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far cells lie outside the ranges of others in sum, int32 (K, )."""
    _, low, high = others
    # Of the two differences one is negative, which OpenCV makes zero.
    outside = cv2.add(cv2.subtract(cells, high), cv2.subtract(low, cells))
    return cv2.reduce(outside, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]


def join_changes(parts: Sequence[Changes]) -> np.ndarray:
    """Changes of frames from those of the stretches that they consist of.

    Args:
        parts (Sequence[Changes]): In order, N frames in all.

    Returns:
        np.ndarray: float32 (N, 8), see :class:`Changes`, also at the borders.
    """
    values, last = [], np.empty((0, *_GRID, 3), np.uint8)
    for part in parts:
        meter = ChangeMeter(last)
        for cells in part.first:
            meter.add_small(cells)
        values += [meter.result.values, part.values[_SPAN:]]
        last = np.concatenate([last, part.last])[-_SPAN:]
    return np.concatenate(values)


def find_cuts(values: np.ndarray) -> Tuple[int, ...]:
    """Find the cuts of a film.

    A cut is a change that only one other within four frames comes near. So
    black frames between two scenes, and shots of five frames or more, have a
    cut at either end. Where the picture comes back after up to seven frames
    there was a flash, which is none. A frame between that blends both shots,
    as a conversion of the frame rate makes it, does not hide a cut. Fades and
    dissolves are not found.

    Args:
        values (np.ndarray): float (N, 8), see :class:`Changes`.

    Returns:
        tuple[int, ...]: Numbers of the frames that begin a shot, ascending,
        from 1 to N - 1.
    """
    if not len(values):
        return ()
    sharp = _sharp_changes(values)
    shots = list(zip([0, *sharp], [*sharp, len(values)]))
    beside, flashes = set(), set()
    for number, before in enumerate(shots):
        for behind in shots[number + 2:]:
            if behind[0] - before[1] >= _SPAN:
                break
            beside |= {before[1], behind[0]}
            if _comes_back(values, before, behind):
                flashes |= {before[1], behind[0]}
    for change in sharp:
        share = _LEAST_SHARE_BESIDE if change in beside else _LEAST_SHARE
        if _least_across(values, change) < share * values[change, 0]:
            flashes.add(change)
    found = np.array([n for n in sharp if n not in flashes], int)
    # A frame between that blends both shots differs from either.
    runs = np.split(found, np.flatnonzero(np.diff(found) > 1) + 1)
    return tuple(int(run[values[run, 0].argmax()]) for run in runs if len(run))


def _sharp_changes(values: np.ndarray) -> List[int]:
    """Frames that differ from the one before as few around do."""
    steps = values[:, 0]
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(steps, _REACH), 2 * _REACH + 1)
    # The third largest: the change, another one, and what is left.
    others = np.partition(around, -3, 1)[:, -3]
    sharp = steps >= _LEAST_RATIO * np.maximum(others, _FLOOR)
    # Two in a row are one change in two steps.
    both = np.where(sharp[1:] & sharp[:-1], values[1:, 1], 0)
    size = np.maximum(steps, np.maximum(np.r_[0, both], np.r_[both, 0]))
    return np.flatnonzero(sharp & (size >= _LEAST_CHANGE)).tolist()


def _least_across(values: np.ndarray, change: int) -> float:
    """Distance of the most alike frames on either side of a change."""
    behind = values[change:change + _SPAN]
    # Row i is of the i-th frame behind the change, so its first i columns
    # are of frames behind, too.
    return behind[np.triu(np.ones(behind.shape, bool))].min()


def _comes_back(values: np.ndarray, before: Tuple[int, int],
                behind: Tuple[int, int]) -> bool:
    """Whether one shot goes on in another, frames [begin, end) each."""
    apart = behind[0] - before[1] + 1
    # In shots that are shorter, what can be seen of their motion.
    spans = [min(apart, end - begin - 1) for begin, end in (before, behind)]
    lasts = before[1] - 1, behind[0] + spans[1]
    motion = max(
        [_FLOOR] +
        [values[last, span - 1] for last, span in zip(lasts, spans) if span])
    return values[behind[0], apart - 1] < _LEAST_MOTION * motion
