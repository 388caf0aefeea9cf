"""The law of torchvision's ``RandomResizedCrop``, apart from its draws.

A box is drawn up to ten times; the first that fits into the image is taken,
at a uniform place in it, and a central one if none fits. The 300-pixel crop
of a clip and the views on the device draw by generators of their own.
"""
from typing import Tuple

import numpy as np

NUM_TRIES = 10


def box_sizes(
        shares: np.ndarray, log_ratios: np.ndarray, height: int,
        width: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes of boxes that were drawn.

    Args:
        shares (np.ndarray): (...), shares of the image's area.
        log_ratios (np.ndarray): (...), logarithms of width / height.
        height (int): Height of the image in pixels.
        width (int): Width of the image in pixels.

    Returns:
        Tuple[np.ndarray, np.ndarray, np.ndarray]: float64 (...) heights and
        widths in whole pixels; bool (...), whether the box fits.
    """
    areas, ratios = height * width * shares, np.exp(log_ratios)
    widths = np.rint(np.sqrt(areas * ratios))
    heights = np.rint(np.sqrt(areas / ratios))
    fits = (0 < widths) & (widths <= width)
    fits &= (0 < heights) & (heights <= height)
    return heights, widths, fits


def central_box(height: int, width: int,
                ratio: Tuple[float, float]) -> Tuple[int, int, int, int]:
    """The largest central box of an aspect ratio within the bounds.

    Args:
        height (int): Height of the image in pixels.
        width (int): Width of the image in pixels.
        ratio (Tuple[float, float]): Range of width / height.

    Returns:
        Tuple[int, int, int, int]: Top, left, height, width in pixels.
    """
    aspect = min(max(width / height, ratio[0]), ratio[1])
    box_w = min(width, max(1, round(height * aspect)))
    box_h = min(height, max(1, round(width / aspect)))
    return (height - box_h) // 2, (width - box_w) // 2, box_h, box_w
