from fractions import Fraction

import numpy as np

# A rate such as 2400000/40023 is a rounding error of 60.
_MAX_DENOMINATOR = 1001
# So many frames may be missing, and one in so many, from a film whose rate is
# that of the others.
_MOST_LOST = (4, 5)


def mean_rate(stated: Fraction, times: np.ndarray,
              time_base: Fraction) -> Fraction:
    """Frames per second of a film, by the times of its frames.

    What a container states is exact where times are rounded, 30000/1001 for
    one. But it may include hidden frames, be that of the shortest distance,
    or a guess by the first frames: it is taken where it fits the times by half
    a frame over the film. A few frames may be missing: a film that is cut
    without encoding lacks some before its last ones, and AVI has empty ones.

    Args:
        stated (Fraction): What the container states; 0 if it does not.
        times (np.ndarray): int64 (N, ), presentation times, ascending.
        time_base (Fraction): Their unit in seconds.

    Returns:
        Fraction: The rate; ``stated`` where there are no two times.
    """
    gaps = len(times) - 1
    span = int(times[-1] - times[0]) * time_base if gaps > 0 else 0
    if not span or abs(stated * span - gaps) <= 0.5:
        return stated
    steps = np.rint(np.diff(times) * float(stated * time_base))
    lost = int((steps - 1).clip(0).sum())
    most, share = _MOST_LOST
    if lost <= min(most, gaps / share) and (
            abs(stated * span - gaps - lost) <= 0.5):
        return stated
    return round_rate(gaps / span)


def round_rate(rate: Fraction) -> Fraction:
    """The nearest rate, or the nearest distance of frames, of small numbers.

    Args:
        rate (Fraction): Frames per second.

    Returns:
        Fraction: Above 0 if ``rate`` is.
    """
    if 0 < rate < 1:  # one picture an hour must not become none
        return 1 / (1 / rate).limit_denominator(_MAX_DENOMINATOR)
    return rate.limit_denominator(_MAX_DENOMINATOR)
