"""Views of uint8 clips on a CPU, one image at a time.

What :mod:`.batched_views` makes on an accelerator, from the same draws. A CPU
does not pay for launching an operation but for arithmetic and for memory: here
an image is resampled in 8 bits and without the weights that are zero, and
stays in the cache from its crop to its place in the output. One thread makes
them all: an image is too small to share.

Letters: B clips, T frames, V views, S output size, H, W pixels. An image is
(H, W, 3) RGB, a colour image float32 on 0 - 255.
"""
from typing import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .photometric import LUMA_WEIGHTS, blur_radius
from .photometric_params import JITTER_OPS, PhotometricParams
from .view_draws import ViewDraws


def crop_resize_image(frame: np.ndarray, box: Sequence[int], out_size: int,
                      interpolation: str, flip: bool) -> np.ndarray:
    """Antialiased crop, resize and mirror of one frame.

    Source: torch's uint8 ``interpolate``, which rounds and clamps to 8 bits
    after either axis, as PIL does.

    Args:
        frame (np.ndarray): uint8 (H, W, 3).
        box (Sequence[int]): Top, left, height and width in
            pixels, inside the frame.
        out_size (int): S, pixels.
        interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        flip (bool): Mirror left and right.

    Returns:
        np.ndarray: uint8 (S, S, 3).
    """
    top, left, height, width = box
    # torch's fast kernel takes only tensors that say channels_last. The copy
    # is numpy's: torch would split it over threads, which costs more than it.
    crop = np.ascontiguousarray(frame[None, top:top + height,
                                      left:left + width])
    crop = F.interpolate(
        torch.from_numpy(crop).permute(0, 3, 1, 2), (out_size, out_size),
        mode=interpolation,
        antialias=True)
    image = crop[0].permute(1, 2, 0).numpy()
    return cv2.flip(image, 1) if flip else image


def _clamp(image: np.ndarray, factor: float) -> np.ndarray:
    """Clamp a blend to 0 - 255, which only a factor above 1 can leave."""
    return np.clip(image, 0, 255, out=image) if factor > 1 else image


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by ``factor``, in place: 0 is black, 1 the image."""
    image *= factor
    return _clamp(image, factor)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean luma, in place: 0 is flat, 1 the image."""
    luma = float(np.dot(LUMA_WEIGHTS, cv2.mean(image)[:3]))
    image *= factor
    image += (1 - factor) * luma
    return _clamp(image, factor)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the luma: 0 is grey, 1 the image."""
    matrix = factor * np.eye(3) + (1 - factor) * np.array(LUMA_WEIGHTS)
    return _clamp(cv2.transform(image, matrix), factor)


def adjust_hue(image: np.ndarray, factor: float) -> np.ndarray:
    """Turn the hue of HSV by ``factor`` turns, in [-0.5, 0.5]."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    # OpenCV wraps hues (in degrees) from 360 up, but no negative ones.
    hsv[..., 0] += 360 * (factor % 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def to_gray_rgb(image: np.ndarray) -> np.ndarray:
    """Luma repeated over the three channels."""
    return cv2.transform(image, np.array([LUMA_WEIGHTS] * 3))


def gaussian_blur(image: np.ndarray, sigma: float, radius: int) -> np.ndarray:
    """Separable Gaussian blur with a mirrored border.

    Args:
        image (np.ndarray): float32 (H, W, 3); H and W above ``radius``.
        sigma (float): Standard deviation in pixels, positive.
        radius (int): Taps on each side.

    Returns:
        np.ndarray: float32 (H, W, 3).
    """
    taps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (taps / sigma)**2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(
        image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)


def solarize(image: np.ndarray) -> np.ndarray:
    """Invert the values from the middle up."""
    return np.minimum(image, 255 - image)


_ADJUST = dict(
    brightness=adjust_brightness,
    contrast=adjust_contrast,
    saturation=adjust_saturation,
    hue=adjust_hue)


def apply_photometric_image(image: np.ndarray, params: PhotometricParams,
                            row: int, max_sigma: float) -> np.ndarray:
    """What :func:`.photometric.apply_photometric` does to one image.

    Args:
        image (np.ndarray): float32 on 0 - 255 (H, W, 3). May be changed.
        params (PhotometricParams): Of all images.
        row (int): This image's row in them.
        max_sigma (float): Largest sigma that can be drawn, in pixels.

    Returns:
        np.ndarray: float32 on 0 - 255 (H, W, 3).
    """
    if params.jitter[row]:
        # Python's floats: numpy's would make the products double precision.
        factors = params.factors[row].tolist()
        for op in params.order[row]:
            image = _ADJUST[JITTER_OPS[op]](image, factors[op])
    if params.gray[row]:
        image = to_gray_rgb(image)
    if params.blur[row]:
        image = gaussian_blur(image, params.sigma[row], blur_radius(max_sigma))
    if params.solarize[row]:
        image = solarize(image)
    return image


def per_image_views(clips: Tensor, draws: ViewDraws, mean: Tensor,
                    std: Tensor) -> Tensor:
    """Crop, resize, colour and normalise views on a CPU.

    Equals :func:`.batched_views.batched_views` but for the rounding of the
    resampled pixels to 8 bits. Every image is made by itself: its values do
    not depend on the others.

    Args:
        clips (Tensor): uint8 RGB (B, T, 3, H, W) on the CPU.
        draws (ViewDraws): What to make of them.
        mean (Tensor): float32 (3, 1, 1), of R, G, B, of values in 0 - 1.
        std (Tensor): float32 (3, 1, 1), of R, G, B, of values in 0 - 1.

    Returns:
        Tensor: Normalised float32 (V, B, T, 3, S, S).
    """
    b, t = clips.shape[:2]
    v, size = len(draws.boxes), draws.size
    boxes = np.broadcast_to(draws.boxes, (v, b, t, 4)).reshape(-1, 4).tolist()
    flips = np.broadcast_to(draws.flips, (v, b, t)).reshape(-1)
    frames = [cv2.merge(list(frame)) for frame in clips.flatten(0, 1).numpy()]
    scale = 1 / std.double().flatten().numpy()
    shift = -mean.double().flatten().numpy() * scale
    normalize = np.column_stack((np.diag(scale / 255), shift))

    views = torch.empty((v, b, t, 3, size, size))
    images = views.view(-1, 3, size, size).numpy()
    for row, (out, box, flip) in enumerate(zip(images, boxes, flips)):
        image = crop_resize_image(frames[row % len(frames)], box, size,
                                  draws.interpolation, flip)
        image = image.astype(np.float32)
        image = apply_photometric_image(image, draws.params, row,
                                        draws.max_sigma)
        image = cv2.transform(image, normalize)
        out[...] = image.transpose(2, 0, 1)
    return views
