"""Region similarity J and contour accuracy F of DAVIS, as pure functions.

Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video
Object Segmentation", CVPR 2016. The same numbers as ``davis2017-evaluation``
and ``vos-benchmark``.
"""
import cv2
import numpy as np


def region_similarity(mask: np.ndarray, truth: np.ndarray) -> float:
    """J, intersection over union.

    Args:
        mask, truth (np.ndarray): (H, W), bool.

    Returns:
        float: In [0, 1]; 1 if both are empty.
    """
    union = np.count_nonzero(mask | truth)
    return np.count_nonzero(mask & truth) / union if union else 1.


def contour(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the right, lower or lower right neighbour.

    Args:
        mask (np.ndarray): (H, W), bool.

    Returns:
        np.ndarray: (H, W), bool.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), 'edge')
    return ((mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1])
            | (mask ^ padded[1:, 1:]))


def contour_accuracy(mask: np.ndarray,
                     truth: np.ndarray,
                     tolerance: float = 0.008) -> float:
    """F, the harmonic mean of precision and recall of the contours.

    A contour pixel is right if the other contour is within a distance of
    ``tolerance`` image diagonals, rounded up.

    Args:
        mask, truth (np.ndarray): (H, W), bool.
        tolerance (float): Share of the diagonal. Defaults to 0.008.

    Returns:
        float: In [0, 1]; 1 if there is no contour at all.
    """
    radius = int(np.ceil(tolerance * np.hypot(*mask.shape)))
    steps = np.arange(-radius, radius + 1)
    disk = steps[:, None]**2 + steps**2 <= radius**2
    found, wanted = contour(mask), contour(truth)
    num_found, num_wanted = found.sum(), wanted.sum()
    if num_found == 0 or num_wanted == 0:
        return float(num_found == num_wanted)
    precision = (found & _grow(wanted, disk)).sum() / num_found
    recall = (wanted & _grow(found, disk)).sum() / num_wanted
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.


def _grow(mask: np.ndarray, disk: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), disk.astype(np.uint8)) > 0
