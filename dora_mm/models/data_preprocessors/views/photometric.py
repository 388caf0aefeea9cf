"""Colour operations on batches, with one parameter per image.

Each step equals the operation of torchvision (hence of PIL) on one float
image; kornia's functions of the same names do not (its contrast knows no mean,
its saturation works in HSV, its brightness adds), see docs/benchmarks.md.

Letters: N images, 3 RGB channels, H, W pixels. All images are float in
[0, 1] and contiguous, channels of them (N, 1, H, W), all parameters
(N, 1, 1, 1).
"""
from functools import lru_cache
from typing import Tuple

import numpy as np
import torch
from torch import Tensor

from dora_mm.models.utils.fused_function import FusedFunction
from .photometric_params import JITTER_OPS, PhotometricParams
from .view_params import to_device

# A Gaussian is cut where it has fallen to exp(-8), as in scipy.
BLUR_TRUNCATE = 4.0
# Luma of ITU-R 601 as torchvision rounds it; the weights sum to 0.9999.
LUMA_WEIGHTS = (0.2989, 0.587, 0.114)

Channels = Tuple[Tensor, Tensor, Tensor]


def luma(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Luma of three channels of one shape."""
    r, g, b = LUMA_WEIGHTS
    return (r * red).add_(green, alpha=g).add_(blue, alpha=b)


def adjust_hue(channels: Channels, factor: Tensor) -> Channels:
    """Turn the hue of HSV by ``factor`` turns, in [-0.5, 0.5]."""
    red, green, blue = channels
    low = torch.minimum(torch.minimum(red, green), blue)
    high = torch.maximum(torch.maximum(red, green), blue)
    chroma = high - low
    # A grey pixel has no hue; any finite one will do, as chroma is 0.
    divisor = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(
        high == red, (green - blue) / divisor,
        torch.where(high == green, (blue - red) / divisor + 2,
                    (red - green) / divisor + 4))
    hue += 6 * factor  # in sextants, of any sign

    def channel(own: int) -> Tensor:
        # It is full within one sextant of its own hue, absent beyond two,
        # and linear between.
        away = (hue - own).remainder_(6).sub_(3).abs_()  # 3 at its own hue
        return torch.addcmul(low - chroma, away, chroma).clamp_(low, high)

    return channel(0), channel(2), channel(4)


def to_gray_rgb(images: Tensor) -> Tensor:
    """Luma repeated over the three channels."""
    return luma(*images.split(1, dim=1)).expand_as(images)


def gaussian_blur(images: Tensor,
                  sigma: Tensor,
                  radius: int,
                  dtype: torch.dtype = torch.float32) -> Tensor:
    """Separable Gaussian blur with one ``sigma`` per image.

    Source: PIL's ``GaussianBlur(radius=sigma)``, which the authors use, is
    three box blurs that approximate this Gaussian and repeats the edge
    pixels; here the border is mirrored, as in torchvision. They agree from
    sigma 0.5 up; below, PIL blurs more than a Gaussian sampled at the pixels.

    Args:
        images (Tensor): (N, 3, H, W); H and W above ``radius``.
        sigma (Tensor): Standard deviation in pixels, positive.
        radius (int): Taps on each side.
        dtype (torch.dtype): Of the weights and of what they are multiplied
            by; with float16 the error is below .2 of 1/255.

    Returns:
        Tensor: (N, 3, H, W), in the dtype of ``images``.
    """
    n, c, h, w = images.shape
    matrices = {
        size:
        _blur_matrix(sigma, _mirrored_taps(size, radius, images.device),
                     radius, dtype)
        for size in {h, w}
    }
    # A convolution would have a group for every channel of every image.
    x = torch.bmm(
        images.to(dtype).reshape(n, c * h, w), matrices[w].transpose(1, 2))
    x = torch.matmul(matrices[h][:, None], x.view(n, c, h, w))
    return x.to(images.dtype)


def blur_matrix(sigma: Tensor,
                taps: Tensor,
                radius: int,
                dtype: torch.dtype = torch.float32) -> Tensor:
    """Weights that blur one axis, as a matrix.

    Args:
        sigma (Tensor): (N, 1, 1, 1), pixels.
        taps (Tensor): Of :func:`_mirrored_taps`, (3, S, S).
        radius (int): Taps on each side.
        dtype (torch.dtype): Of the weights, which are computed in float32.

    Returns:
        Tensor: (N, S, S), rows sum to 1.
    """
    distance = torch.arange(radius + 2, device=sigma.device)
    kernel = torch.exp(-0.5 * (distance / sigma.flatten(1)).square())
    kernel = kernel * (distance <= radius)  # (N, radius + 2), the last one 0
    kernel = kernel / (2 * kernel.sum(1, keepdim=True) - 1)
    return kernel[:, taps].sum(1).to(dtype)


@lru_cache(maxsize=8)
def _mirrored_taps(size: int, radius: int, device: torch.device) -> Tensor:
    """Distance of pixel j from output i along an axis with mirrored borders.

    Returns:
        Tensor: int64 (3, size, size), [., i, j]: of j itself and of its
        images beyond the first and the last pixel; ``radius + 1`` where that
        is out of reach or where there is no image.
    """
    i, j = np.ogrid[:size, :size]
    far = radius + 1
    taps = np.stack((abs(j - i), np.where(j > 0, i + j, far),
                     np.where(j < size - 1, 2 * (size - 1) - i - j, far)))
    return torch.from_numpy(np.minimum(taps, far)).to(device)


def solarize(images: Tensor) -> Tensor:
    """Invert the values from 1/2 up.

    PIL inverts from 128 of 255 up; a float that rounds to 128 is >= 1/2.
    """
    return torch.minimum(images, 1 - images)


def _jitter_plan(
        params: PhotometricParams) -> Tuple[np.ndarray, np.ndarray]:
    """Three blends before the hue and three after it, of which each image
    has three: the others have a share of 0 and change nothing.

    Returns:
        tuple: Indices (N,) of the images that are jittered, and (4, 6, N):
        the share of the other image, 1 less the factor; 1 for contrast, else
        0; 1 for saturation, else 0; 1 before contrast, else 0.
    """
    chosen = np.flatnonzero(params.jitter)
    order, factors = params.order[chosen], params.factors[chosen]
    hue_at = (order == JITTER_OPS.index('hue')).argmax(1)[:, None]
    slots = np.array([0, 1, 2, 1, 2, 3])
    ops = order[:, slots]
    is_blend = np.where(np.arange(6) < 3, slots < hue_at, slots > hue_at)
    share = is_blend * (1 - np.take_along_axis(factors, ops, 1))
    contrast = is_blend * (ops == JITTER_OPS.index('contrast'))
    return chosen, np.stack(
        (share.T, contrast.T, ops.T == JITTER_OPS.index('saturation'),
         1 - np.maximum.accumulate(contrast, 1).T))


def jitter(images: Tensor, hue: Tensor, blends: Tensor) -> Channels:
    """The colour jitter, each image with its own factors and order.

    A blend is ``(1 - share) * image + share * other``, where the other one
    is black (brightness), or the mean luma (contrast), or the luma
    (saturation). The mean is that of the image as contrast finds it: all that
    comes before is computed twice, so that compiled kernels read pixels twice
    and write them once.

    Args:
        images (Tensor): (N, 3, H, W).
        hue (Tensor): (N, 1, 1, 1), turns.
        blends (Tensor): (4, 6, N, 1, 1, 1): shares and, of each, whether it
            is contrast, whether it is saturation, and whether contrast is
            yet to come; of three blends before the hue is turned, and three
            after.

    Returns:
        Channels: Red, green and blue: put together here, the compiler would
        compute all three for each.
    """
    shares, contrast, saturation, early = blends.unbind()

    def recolor(hue: Tensor, shares: Tensor, mean: Tensor) -> Channels:
        channels = images.split(1, dim=1)
        for i, share in enumerate(shares.unbind()):
            if i == 3:
                channels = adjust_hue(channels, hue)
            other = torch.addcmul(mean * contrast[i], luma(*channels),
                                  saturation[i])
            channels = tuple(
                channel.lerp(other, share).clamp_(0, 1)
                for channel in channels)
        return channels

    found = luma(*recolor(hue * early[2], shares * early, hue * 0))
    mean = found.mean(3, keepdim=True).mean(2, keepdim=True)
    return recolor(hue, shares, mean)


def apply_photometric(images: Tensor,
                      params: PhotometricParams,
                      max_sigma: float,
                      dtype: torch.dtype = torch.float32) -> Tensor:
    """Colour jitter, grey, blur and solarise, each image with its own draw.

    Order as in DINO: the four jitter operations in the image's own random
    order, then grey, blur, solarise. Only the images that an operation was
    drawn for are touched. Which ones is known on the CPU, so the device
    never reports back; all that it needs goes there in one copy.

    Args:
        images (Tensor): float32 in [0, 1] (N, 3, H, W). Changed in place.
        params (PhotometricParams): N rows each.
        max_sigma (float): Largest sigma that can be drawn, in pixels.
        dtype (torch.dtype): In which to blur, see :func:`gaussian_blur`.

    Returns:
        Tensor: ``images``.
    """
    chosen, blends = _jitter_plan(params)
    later = [
        np.flatnonzero(flags)
        for flags in (params.gray, params.blur, params.solarize)
    ]
    index, (hue, sigma, blends) = to_device(
        [chosen, *later],
        [params.factors[chosen, 3], params.sigma[later[1]],
         blends.ravel()], images.device)
    chosen, gray, blur, solarized = index

    if len(chosen):
        jittered = _jitter(
            images.index_select(0, chosen), hue, blends.view(4, 6, *hue.shape))
        for i, channel in enumerate(jittered):
            images[:, i:i + 1].index_copy_(0, chosen, channel)
    radius = blur_radius(max_sigma)

    def blurred(chosen: Tensor) -> Tensor:
        return gaussian_blur(chosen, sigma, radius, dtype)

    for rows, operation in ((gray, to_gray_rgb), (blur, blurred),
                            (solarized, solarize)):
        if len(rows):
            images.index_copy_(0, rows,
                               operation(images.index_select(0, rows)))
    return images


_jitter = FusedFunction(jitter, (0, 0, 2))
_blur_matrix = FusedFunction(blur_matrix, (0, None))


def blur_radius(max_sigma: float) -> int:
    """Taps on each side of the blur kernel, for the largest sigma."""
    return int(BLUR_TRUNCATE * max_sigma + 0.5)
