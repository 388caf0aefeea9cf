"""Colour operations on batches, with one parameter per image.

Each equals the operation of torchvision (hence of PIL) on one float image;
kornia's functions of the same names do not (its contrast knows no mean, its
saturation works in HSV, its brightness adds), see docs/benchmarks.md.

Letters: N images, 3 RGB channels, H, W pixels. All images are float in
[0, 1] and contiguous, all parameters (N, 1, 1, 1).
"""
from typing import Iterator, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .photometric_params import JITTER_OPS, PhotometricParams
from .view_params import to_device

# A Gaussian is cut where it has fallen to exp(-8), as in scipy.
BLUR_TRUNCATE = 4.0
# Luma of ITU-R 601 as torchvision rounds it; the weights sum to 0.9999.
LUMA_WEIGHTS = (0.2989, 0.587, 0.114)


def to_gray(images: Tensor) -> Tensor:
    """Luma.

    Returns:
        Tensor: (N, 1, H, W).
    """
    (red, green, blue), (r, g, b) = images.split(1, dim=1), LUMA_WEIGHTS
    return (r * red).add_(green, alpha=g).add_(blue, alpha=b)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """``factor * images + (1 - factor) * other``, clamped to [0, 1]."""
    return torch.lerp(other, images, factor).clamp_(0, 1)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by ``factor``: 0 is black, 1 the image."""
    return (images * factor).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean luma: 0 is flat, 1 the image."""
    # The luma of the mean is the mean of the luma, with one pass less.
    mean = to_gray(images.mean(dim=(2, 3), keepdim=True))
    return _blend(images, mean, factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the luma: 0 is grey, 1 the image."""
    return _blend(images, to_gray(images), factor)


def adjust_hue(images: Tensor, factor: Tensor) -> Tensor:
    """Turn the hue of HSV by ``factor`` turns, in [-0.5, 0.5]."""
    red, green, blue = images.split(1, dim=1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    # A grey pixel has no hue; any finite one will do, as chroma is 0.
    divisor = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(
        high == red, (green - blue) / divisor,
        torch.where(high == green, (blue - red) / divisor + 2,
                    (red - green) / divisor + 4))
    hue += 6 * factor  # in sextants, of any sign
    # A channel is full within one sextant of its own hue (0, 2, 4), absent
    # beyond two, and linear between.
    own = torch.arange(0, 6, 2, device=images.device)
    away = (hue -
            own.view(1, 3, 1, 1)).remainder_(6).sub_(3).abs_().sub_(1).clamp_(
                0, 1)
    return away.mul_(chroma).add_(low)


def to_gray_rgb(images: Tensor, _: Tensor) -> Tensor:
    """Luma repeated over the three channels."""
    return to_gray(images).expand_as(images)


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Separable Gaussian blur with one ``sigma`` per image.

    Source: PIL's ``GaussianBlur(radius=sigma)``, which the authors use, is
    three box blurs that approximate this Gaussian and repeats the edge
    pixels; here the border is mirrored, as in torchvision. They agree from
    sigma 0.5 up; below, PIL blurs more than a Gaussian sampled at the pixels.

    Args:
        images (Tensor): (N, 3, H, W); H and W above ``radius``.
        sigma (Tensor): Standard deviation in pixels, positive.
        radius (int): Taps on each side.

    Returns:
        Tensor: (N, 3, H, W).
    """
    n, c, h, w = images.shape
    taps = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (taps / sigma.view(n, 1)).square_())
    kernel = kernel.div_(kernel.sum(1, keepdim=True))
    kernel = kernel.repeat_interleave(c, 0).view(n * c, 1, -1, 1)
    x = F.pad(
        images, (radius, ) * 4, mode='reflect').view(1, n * c, -1,
                                                     w + 2 * radius)
    x = F.conv2d(x, kernel, groups=n * c)
    x = F.conv2d(x, kernel.transpose(2, 3), groups=n * c)
    return x.view(n, c, h, w)


def solarize(images: Tensor, _: Tensor) -> Tensor:
    """Invert the values from 1/2 up.

    PIL inverts from 128 of 255 up; a float that rounds to 128 is >= 1/2.
    """
    return torch.minimum(images, 1 - images)


def _steps(
        params: PhotometricParams
) -> Iterator[Tuple[str, np.ndarray, np.ndarray]]:
    """Operation, indices of its images and their parameters, in order."""
    for slot in range(len(JITTER_OPS)):
        for op, name in enumerate(JITTER_OPS):
            chosen = params.jitter & (params.order[:, slot] == op)
            index = np.flatnonzero(chosen)
            yield name, index, params.factors[index, op]
    for name in ('gray', 'blur', 'solarize'):
        index = np.flatnonzero(getattr(params, name))
        yield name, index, params.sigma[index]


def apply_photometric(images: Tensor, params: PhotometricParams,
                      max_sigma: float) -> Tensor:
    """Colour jitter, grey, blur and solarise, each image with its own draw.

    Order as in DINO: the four jitter operations in the image's own random
    order, then grey, blur, solarise. Only the images that an operation was
    drawn for are touched. Which ones is known on the CPU, so the device
    never reports back.

    Args:
        images (Tensor): float32 in [0, 1] (N, 3, H, W). Changed in place.
        params (PhotometricParams): N rows each.
        max_sigma (float): Largest sigma that can be drawn, in pixels.

    Returns:
        Tensor: ``images``.
    """
    operations = dict(
        brightness=adjust_brightness,
        contrast=adjust_contrast,
        saturation=adjust_saturation,
        hue=adjust_hue,
        gray=to_gray_rgb,
        blur=lambda x, sigma: gaussian_blur(x, sigma, blur_radius(max_sigma)),
        solarize=solarize)
    steps = [step for step in _steps(params) if len(step[1])]
    if not steps:
        return images
    # One copy for all steps instead of two small ones for each.
    _, indices, values = zip(*steps)
    lengths = [len(index) for index in indices]
    packed = np.stack((np.concatenate(indices), np.concatenate(values)))
    packed = to_device(packed, images.device)
    indices = packed[0].long().split(lengths)
    values = packed[1].to(images.dtype).view(-1, 1, 1, 1).split(lengths)
    for (name, _, _), index, value in zip(steps, indices, values):
        chosen = images.index_select(0, index)
        images.index_copy_(0, index, operations[name](chosen, value))
    return images


def blur_radius(max_sigma: float) -> int:
    """Taps on each side of the blur kernel, for the largest sigma."""
    return int(BLUR_TRUNCATE * max_sigma + 0.5)
