from fractions import Fraction
from math import ceil
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

# Most cells that a picture is divided into, and the least width of one: its
# mean hardly changes with the noise of a codec, but a walker of its size
# changes it.
_MOST_CELLS = (64, 36)
_LEAST_PIXELS = 8
_SAME = 2
_UNIFORM = 4
# Later ones win where they meet.
_REASONS = ('frozen', 'blank', 'undecodable')


class Stillness(NamedTuple):
    """Where N frames in a row change; joins with that of the next frames.

    Attributes:
        changes (np.ndarray): bool (N, ). Whether a frame differs from the
            last one that did; always True for the first.
        blanks (np.ndarray): bool (N, ). Whether the picture is uniform.
        first (np.ndarray): uint8 (rows, columns), the first frame in small.
        last (np.ndarray): uint8 (rows, columns), the last one that changed.
    """
    changes: np.ndarray
    blanks: np.ndarray
    first: np.ndarray
    last: np.ndarray


class StillnessMeter:
    """Finds out while frames pass where nothing moves and nothing is seen.

    A frame is compared with the last one that differed, not with the one
    before, so a slow fade is a change.
    """

    def __init__(self) -> None:
        self._changes: List[bool] = []
        self._blanks: List[bool] = []
        self._first: Optional[np.ndarray] = None
        self._last: Optional[np.ndarray] = None

    def add(self, luma: np.ndarray, times: int = 1) -> None:
        """Look at a picture.

        Args:
            luma (np.ndarray): uint8 (H, W).
            times (int): How many frames show it. Defaults to 1.
        """
        rows, columns = luma.shape
        grid = tuple(
            min(most, max(1, pixels // _LEAST_PIXELS))
            for most, pixels in zip(_MOST_CELLS, (columns, rows)))
        small = cv2.resize(luma, grid, interpolation=cv2.INTER_AREA)
        changed = self._last is None or not _alike(small, self._last)
        if changed:
            self._last = small
        if self._first is None:
            self._first = small
        blank = int(small.max()) - int(small.min()) <= _UNIFORM
        self._changes += [changed] + [False] * (times - 1)
        self._blanks += [blank] * times

    @property
    def result(self) -> Stillness:
        """What was found; at least one picture was added."""
        return Stillness(
            np.array(self._changes), np.array(self._blanks), self._first,
            self._last)


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return cv2.absdiff(a, b).max() <= _SAME


def join_stillness(parts: List[Stillness]) -> Stillness:
    """Stillness of frames from that of the stretches that they consist of.

    Args:
        parts (list[Stillness]): In order, at least one.

    Returns:
        Stillness: Of all frames.
    """
    changes = [part.changes.copy() for part in parts]
    for i in range(1, len(parts)):
        changes[i][0] = not _alike(parts[i - 1].last, parts[i].first)
    return Stillness(
        np.concatenate(changes),
        np.concatenate([part.blanks for part in parts]), parts[0].first,
        parts[-1].last)


def runs_of(values: np.ndarray) -> List[Tuple[int, int]]:
    """Stretches of equal values.

    Args:
        values (np.ndarray): (N, ), N at least 1.

    Returns:
        list[tuple[int, int]]: Ranges [begin, end) that cover [0, N).
    """
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    edges = [0, *edges.tolist(), len(values)]
    return list(zip(edges[:-1], edges[1:]))


def excluded_ranges(stillness: Stillness, undecodable: Sequence[Tuple[int,
                                                                      int]],
                    min_frames: int) -> Tuple[Tuple[int, int, str], ...]:
    """Frames that training should leave out.

    Args:
        stillness (Stillness): Of all N frames.
        undecodable (Sequence[tuple[int, int]]): Ranges [begin, end) that stand
            in for frames that cannot be decoded; of any length.
        min_frames (int): Blank and frozen stretches that are shorter stay in.

    Returns:
        tuple[tuple[int, int, str], ...]: Ranges [begin, end), ascending and
        disjoint, and the reason: ``'frozen'``, ``'blank'`` or
        ``'undecodable'``.
    """
    reasons = np.zeros(len(stillness.changes), np.uint8)
    changes = stillness.changes.copy()
    for begin, end in undecodable:
        # The repeated frame does not make the one before it frozen.
        changes[begin] = True
        changes[end:end + 1] = True
    # Frames of one still picture have the same number.
    for begin, end in runs_of(np.cumsum(changes)):
        if end - begin >= min_frames:
            reasons[begin:end] = 1
    for begin, end in runs_of(stillness.blanks):
        if stillness.blanks[begin] and end - begin >= min_frames:
            reasons[begin:end] = 2
    for begin, end in undecodable:
        reasons[begin:end] = 3
    return _named_ranges(reasons)


def add_undecodable(excluded: Sequence[Tuple[int, int, str]],
                    undecodable: Sequence[Tuple[int, int]],
                    num_frames: int) -> Tuple[Tuple[int, int, str], ...]:
    """What a manifest leaves out, and what has been damaged since.

    Args:
        excluded (Sequence[tuple[int, int, str]]): Of the manifest, see
            :func:`excluded_ranges`.
        undecodable (Sequence[tuple[int, int]]): Ranges [begin, end).
        num_frames (int): Of the video.

    Returns:
        tuple[tuple[int, int, str], ...]: See :func:`excluded_ranges`.
    """
    reasons = np.zeros(num_frames, np.uint8)
    for begin, end, reason in excluded:
        reasons[begin:end] = 1 + _REASONS.index(reason)
    for begin, end in undecodable:
        reasons[begin:end] = 3
    return _named_ranges(reasons)


def _named_ranges(reasons: np.ndarray) -> Tuple[Tuple[int, int, str], ...]:
    """Of numbers of reasons, 0 of none."""
    return tuple((begin, end, _REASONS[reasons[begin] - 1])
                 for begin, end in runs_of(reasons) if reasons[begin])


def find_excluded(
        parts: List[Stillness], undecodable: Sequence[Tuple[int, int]],
        fps: Fraction) -> Tuple[Tuple[int, int, str], ...]:
    """Frames of a video that training should leave out.

    Args:
        parts (list[Stillness]): Of its stretches, in order.
        undecodable (Sequence[tuple[int, int]]): See :func:`excluded_ranges`.
        fps (Fraction): Frames per second.

    Returns:
        tuple[tuple[int, int, str], ...]: See :func:`excluded_ranges`; what is
        blank or frozen is so for a second at least.
    """
    # From the first to the last of them it is a second.
    return excluded_ranges(
        join_stillness(parts), undecodable,
        ceil(fps) + 1)
