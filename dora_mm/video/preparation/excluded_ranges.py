from typing import List, Sequence, Tuple

import numpy as np

from .stillness_meter import Stillness

# Later ones win where they meet.
_REASONS = ('frozen', 'blank', 'undecodable')


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
    return tuple((begin, end, _REASONS[reasons[begin] - 1])
                 for begin, end in runs_of(reasons) if reasons[begin])
