"""Views of uint8 clips on an accelerator, all of a batch at once.

Letters: B clips, T frames, V views, S output size, H, W pixels.
"""
import numpy as np
import torch
from torch import Tensor

from .crop_resize import crop_resize
from .photometric import apply_photometric
from .photometric_params import PhotometricParams
from .view_params import to_device


def batched_views(clips: Tensor, boxes: np.ndarray, flips: np.ndarray,
                  params: PhotometricParams, out_size: int, interpolation: str,
                  max_sigma: float, mean: Tensor, std: Tensor) -> Tensor:
    """Crop, resize, colour and normalise views without a loop over frames.

    The parameters lie on the CPU and are copied asynchronously; nothing is
    read back, so the host never waits for the device. Pixels stay float32
    from the crop on.

    Args:
        clips (Tensor): uint8 RGB (B, T, 3, H, W), on any device.
        boxes (np.ndarray): Integers (V, B, T or 1, 4): top, left, height,
            width in pixels, inside the frame.
        flips (np.ndarray): bool (V, B, T or 1), mirror left and right.
        params (PhotometricParams): Of V * B * T images.
        out_size (int): S, pixels.
        interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        max_sigma (float): Largest sigma that can be drawn, in pixels.
        mean (Tensor): Of R, G, B, of values in 0 - 1, (3, 1, 1).
        std (Tensor): Likewise.

    Returns:
        Tensor: Normalised float32 (V, B, T, 3, S, S).
    """
    views = crop_resize(clips, to_device(boxes, clips.device), out_size,
                        interpolation, to_device(flips, clips.device))
    images = apply_photometric(views.flatten(0, 2), params, max_sigma)
    torch.addcmul(-mean / std, images, 1 / std, out=images)
    return images.view(views.shape)
