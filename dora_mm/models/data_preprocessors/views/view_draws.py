from typing import NamedTuple

import numpy as np

from .photometric_params import PhotometricParams


class ViewDraws(NamedTuple):
    """What is made of a batch of clips: V views of one size.

    Letters: B clips, T frames, V views. All lies on the CPU.

    Attributes:
        boxes (np.ndarray): int64 (V, B, T or 1, 4): top, left, height, width
            in pixels, inside the frame; one for all frames or one for each.
        flips (np.ndarray): bool (V, B, T or 1), mirror left and right.
        params (PhotometricParams): Of V * B * T images.
        size (int): Pixels of a view's side.
        interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        max_sigma (float): Largest sigma of the blur that can be drawn, in
            pixels.
    """
    boxes: np.ndarray
    flips: np.ndarray
    params: PhotometricParams
    size: int
    interpolation: str
    max_sigma: float
