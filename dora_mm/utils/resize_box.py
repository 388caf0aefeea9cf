"""The crop of a clip, in a worker or on the device."""
from typing import Tuple

import torch.nn.functional as F
from torch import Tensor


def resize_box(frames: Tensor, box: Tuple[int, int, int, int],
               size: int) -> Tensor:
    """Crop one box from all frames and resize it.

    Bilinearly with antialiasing, the filter of torchvision and PIL. On a CPU
    the weights are integers; an accelerator has no such kernel, so the frames
    are floats there, and a pixel may differ by one.

    Args:
        frames (Tensor): uint8 (T, 3, H, W).
        box (tuple[int, int, int, int]): x, y, width, height in pixels.
        size (int): Side of the result in pixels.

    Returns:
        Tensor: uint8 (T, 3, size, size).
    """
    x, y, width, height = box
    frames = frames[..., y:y + height, x:x + width]
    if frames.device.type == 'cpu':
        # OpenCV's INTER_AREA on such sizes takes three times as long.
        return F.interpolate(
            frames, (size, size), mode='bilinear', antialias=True)
    return resize_floats(frames, size)


def resize_floats(frames: Tensor, size: int) -> Tensor:
    """Resize on an accelerator, see :func:`resize_box`."""
    frames = F.interpolate(
        frames.float(), (size, size), mode='bilinear', antialias=True)
    return frames.round_().clamp_(0, 255).byte()
