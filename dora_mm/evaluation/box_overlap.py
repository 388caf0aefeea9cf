import numpy as np


def box_overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, pair by pair.

    Args:
        boxes, others (np.ndarray): (..., 4), left, top, right, bottom; may be
            broadcast against each other.

    Returns:
        np.ndarray: (...), in [0, 1]; 0 where both are empty.

    Raises:
        ValueError: If a number is not finite.
    """
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    for values in (boxes, others):
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            raise ValueError(
                'boxes must be finite, but got '
                f'{values[tuple(wrong[0])]} at {wrong[0].tolist()}: check the '
                'weights of the backbone and the labels')
    low = np.maximum(boxes[..., :2], others[..., :2])
    high = np.minimum(boxes[..., 2:], others[..., 2:])
    both = (high - low).clip(0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clip(0).prod(-1)
             for b in (boxes, others)]
    union = areas[0] + areas[1] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)
