"""How a film changes over time, from small pictures of it.

S samples, D numbers of the lightness of one.
"""
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

# Memory of a block of correlations: 1000 rows by S columns.
_ROWS = 1000


def stretches_of(frames: np.ndarray, excluded: Sequence[Tuple[int, int, str]],
                 cuts: Sequence[int]) -> np.ndarray:
    """Number the stretches of a film that clips can lie in.

    Args:
        frames (np.ndarray): int (S, ), numbers of frames, ascending.
        excluded (Sequence[tuple[int, int, str]]): Stretches that are left
            out, [begin, end) and why.
        cuts (Sequence[int]): Frames that begin a shot.

    Returns:
        np.ndarray: int64 (S, ), equal within a stretch, -1 where a frame is
        left out.
    """
    edges = sorted({*cuts, *(edge for r in excluded for edge in r[:2])})
    numbers = np.searchsorted(edges, frames, side='right')
    for begin, end, _ in excluded:
        numbers[(frames >= begin) & (frames < end)] = -1
    return numbers


def unit_pictures(luma: np.ndarray) -> np.ndarray:
    """Pictures whose products are correlations.

    Args:
        luma (np.ndarray): uint8 (S, rows, columns).

    Returns:
        np.ndarray: float32 (S, D), each of mean 0 and norm 1; zeros for a
        uniform picture.
    """
    flat = luma.reshape(len(luma), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.maximum(norm, 1e-6)


def autocorrelation(units: np.ndarray, stretches: np.ndarray,
                    max_lag: int) -> np.ndarray:
    """Mean correlation of a picture with a later one of its stretch.

    Args:
        units (np.ndarray): float32 (S, D), of :func:`unit_pictures`.
        stretches (np.ndarray): int (S, ), of :func:`stretches_of`.
        max_lag (int): Samples.

    Returns:
        np.ndarray: float64 (max_lag + 1, ), by lag; NaN where no stretch is
        long enough.
    """
    result = np.full(max_lag + 1, np.nan)
    for lag in range(min(max_lag + 1, len(units))):
        end = len(units) - lag
        both = (stretches[:end] == stretches[lag:]) & (stretches[:end] >= 0)
        if both.any():
            products = np.einsum('sd,sd->s', units[:end], units[lag:])
            result[lag] = products[both].mean()
    return result


def half_life(correlation: np.ndarray, unrelated: float) -> Optional[float]:
    """When half of what changes in a picture has changed.

    Args:
        correlation (np.ndarray): (lags, ), of :func:`autocorrelation`.
        unrelated (float): Correlation of any two pictures of the film.

    Returns:
        float | None: The lag, in samples, at which the correlation first
        falls to the middle between 1 and ``unrelated``, by linear
        interpolation; None if it does not.
    """
    middle = (1 + unrelated) / 2
    below = np.flatnonzero(correlation[1:] <= middle)
    if len(below) == 0:
        return None
    lag = int(below[0]) + 1
    before, behind = correlation[lag - 1], correlation[lag]
    return lag - 1 + float((before - middle) / (before - behind))


def motion(luma: np.ndarray, stretches: np.ndarray,
           seconds: float) -> np.ndarray:
    """Mean length of the optical flow (Farneback) from the sample before.

    Args:
        luma (np.ndarray): uint8 (S, rows, columns).
        stretches (np.ndarray): int (S, ), of :func:`stretches_of`.
        seconds (float): From one sample to the next.

    Returns:
        np.ndarray: float64 (S, ), widths of the picture a second; NaN where
        a stretch begins, and where frames are left out.
    """
    result = np.full(len(luma), np.nan)
    for i in range(1, len(luma)):
        if stretches[i] == stretches[i - 1] >= 0:
            flow = cv2.calcOpticalFlowFarneback(luma[i - 1], luma[i], None,
                                                0.5, 2, 7, 3, 5, 1.1, 0)
            length = np.hypot(flow[..., 0], flow[..., 1]).mean()
            result[i] = length / luma.shape[2] / seconds
    return result


def novelty(units: np.ndarray, used: np.ndarray, gap: int) -> np.ndarray:
    """How little a picture resembles all that was seen long before it.

    Args:
        units (np.ndarray): float32 (S, D), of :func:`unit_pictures`.
        used (np.ndarray): bool (S, ), pictures that count.
        gap (int): Samples; what is nearer does not count as seen.

    Returns:
        np.ndarray: float64 (S, ), 1 less the highest correlation with a
        picture at least ``gap`` before, from 0 (seen) to 1; NaN where nothing
        came before, and where ``used`` is False.
    """
    result = np.full(len(units), np.nan)
    for begin in range(0, len(units), _ROWS):
        rows = units[begin:begin + _ROWS]
        numbers = np.arange(begin, begin + len(rows))
        seen = used[None] & (
            np.arange(len(units))[None] <= numbers[:, None] - gap)
        products = np.where(seen, rows @ units.T, -np.inf).max(1)
        found = np.isfinite(products) & used[numbers]
        result[numbers[found]] = np.clip(1 - products[found], 0, 1)
    return result
