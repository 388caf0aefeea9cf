"""How fast one card trains ViT-S/16: every figure of docs/benchmarks.md that
an estimate of hours is made from."""
from typing import Dict, Tuple

# Clips a second of 8 frames with one global view, 32 clips a step: the
# slowest and the fastest that were measured, a training with its loader and
# the step alone; of the H100 with earlier code.
CLIPS_PER_SECOND: Dict[str, Tuple[float, float]] = dict(
    H100=(90, 167), H200=(217, 296))
# Arithmetic of a step with two global views, in that of one with one.
TWO_VIEWS = 1.7


def training_hours(num_clips: float, card: str,
                   num_global_views: int) -> Tuple[float, float]:
    """Estimate how long one card trains.

    Args:
        num_clips (float): Over all epochs.
        card (str): A key of :data:`CLIPS_PER_SECOND`.
        num_global_views (int): 1 or 2.

    Returns:
        tuple[float, float]: Hours, at the highest and at the lowest rate.
    """
    slowest, fastest = CLIPS_PER_SECOND[card]
    views = TWO_VIEWS if num_global_views == 2 else 1
    return tuple(num_clips * views / rate / 3600
                 for rate in (fastest, slowest))
