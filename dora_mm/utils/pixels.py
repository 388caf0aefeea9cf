"""Pixels on their way into a model.

Letters: T frames, H, W height and width in pixels.
"""
from typing import Tuple

import cv2
import numpy as np

# Mean and standard deviation of ImageNet's pixels, red, green and blue, on the
# scale 0 to 255: the normalisation of DINO, DoRA and mmpretrain.
RGB_MEAN = (123.675, 116.28, 103.53)
RGB_STD = (58.395, 57.12, 57.375)


def resize_frames(frames: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Resize frames that a model or a person looks at.

    OpenCV's INTER_AREA where there are fewer pixels afterwards, else
    INTER_CUBIC.

    Args:
        frames (np.ndarray): uint8 (T, H, W, 3).
        size (tuple[int, int]): New height and width in pixels.

    Returns:
        np.ndarray: uint8 (T, *size, 3).
    """
    shrinks = size[0] * size[1] < frames.shape[1] * frames.shape[2]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.stack([
        cv2.resize(
            np.ascontiguousarray(frame), size[::-1], interpolation=way)
        for frame in frames
    ])
