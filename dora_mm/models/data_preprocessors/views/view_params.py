"""Random numbers of the views: drawn on the CPU, a pure function of seeds.

Letters: B clips, T frames, V views, H, W height and width in pixels.
"""
from typing import List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from dora_mm.utils.random_resized_crop import NUM_TRIES, box_sizes, central_box

# A try takes an area and an aspect ratio; the box's place takes two more.
NUM_BOX_UNIFORMS = 2 * NUM_TRIES + 2


def clip_uniforms(seeds: Sequence[int], stream: int,
                  shape: Tuple[int, ...]) -> np.ndarray:
    """Draw one block of uniform numbers for every clip.

    The block of a clip depends on ``(seed, stream)`` alone, and the numbers
    come in row-major order: a longer first axis (one more view) leaves the
    earlier rows as they were.

    Philox rather than :class:`torch.Generator`, because the CPU generator of
    torch keeps only the lower 32 bits of its seed, and because Philox is
    keyed: the streams of one clip are independent without mixing seeds.

    Args:
        seeds (Sequence[int]): B seeds in [0, 2**64).
        stream (int): Which numbers of the clip, e.g. geometry or colour.
        shape (Tuple[int, ...]): Shape of one clip's block.

    Returns:
        np.ndarray: float64 (B, \\*shape) in [0, 1).
    """
    block = np.empty((len(seeds), *shape))
    philox = np.random.Philox(key=0)
    generator, fresh = np.random.Generator(philox), philox.state
    key = fresh['state']['key']
    for row, seed in zip(block, seeds):
        # A fifth of the cost of a new generator, and the same numbers.
        key[0], key[1] = seed, stream
        philox.state = fresh
        generator.random(out=row)
    return block


def random_resized_boxes(uniforms: np.ndarray, height: int, width: int,
                         scale: Tuple[float, float],
                         ratio: Tuple[float, float]) -> np.ndarray:
    """Boxes with the law of torchvision's ``RandomResizedCrop``.

    Args:
        uniforms (np.ndarray): (..., 22) in [0, 1): ten areas, ten aspect
            ratios, the vertical and the horizontal position.
        height (int): Height of the image in pixels.
        width (int): Width of the image in pixels.
        scale (Tuple[float, float]): Range of the box's share of the area.
        ratio (Tuple[float, float]): Range of width / height, drawn uniformly
            in its logarithm.

    Returns:
        np.ndarray: int64 (..., 4): top, left, height, width in pixels.
    """
    low, high = np.log(ratio)
    shares = scale[0] + (scale[1] - scale[0]) * uniforms[..., :NUM_TRIES]
    ratios = low + (high - low) * uniforms[..., NUM_TRIES:-2]
    found = box_sizes(shares[..., :1], ratios[..., :1], height, width)
    missing = ~found[2][..., 0]
    if missing.any():  # few boxes need the other tries
        more = box_sizes(shares[missing], ratios[missing], height, width)
        first = more[2].argmax(-1)[:, None]
        for values, tried in zip(found, more):
            values[missing] = np.take_along_axis(tried, first, -1)
    box_h, box_w, fits = (values[..., 0] for values in found)
    top = np.floor(uniforms[..., -2] * (height - box_h + 1))
    left = np.floor(uniforms[..., -1] * (width - box_w + 1))
    boxes = np.stack((top, left, box_h, box_w), -1)
    boxes = np.where(fits[..., None], boxes,
                     central_box(height, width, ratio))
    return boxes.astype(np.int64)


def to_device(indices: Sequence[np.ndarray], values: Sequence[np.ndarray],
              device: torch.device) -> Tuple[List[Tensor], List[Tensor]]:
    """Copy parameters to a device in one piece, without a wait of the host.

    A copy from pageable memory waits for the stream; one from pinned memory
    is queued like a kernel.

    Args:
        indices (Sequence[np.ndarray]): Whole numbers below 2**24, or bool.
        values (Sequence[np.ndarray]): (N, ) each.
        device (torch.device): Where they are needed.

    Returns:
        Tuple[List[Tensor], List[Tensor]]: int64 tensors of the shapes of
        ``indices``; float32 (N, 1, 1, 1).
    """
    arrays = [*indices, *values]
    packed = torch.from_numpy(
        np.concatenate([a.ravel() for a in arrays], dtype=np.float32))
    if device.type == 'cuda':
        packed = packed.pin_memory()
    packed = packed.to(device, non_blocking=True)
    num = sum(a.size for a in indices)
    whole = packed[:num].long().split([a.size for a in indices])
    columns = packed[num:].view(-1, 1, 1, 1).split([a.size for a in values])
    return [t.view(a.shape) for t, a in zip(whole, indices)], list(columns)
