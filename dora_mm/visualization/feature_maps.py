"""Attention maps and principal components of patch features.

Letters: T frames, H heads, h, w rows and columns of patches, D channels.
"""
import math

import cv2
import numpy as np

from .image_ops import heat, note, wrap_text

_LEAST = 96  # pixels of a picture with text on it
_LEAST_SHEET = 192  # pixels of a sheet with text below it
_CAPTION = (
    'Row by row: the frame; components: the three main ones of the '
    'patch tokens, as red, green and blue; the attention of [CLS] in the last '
    'layer, mean and each head (from 0), dark to bright from its lowest to '
    'its highest value, which is written as a multiple of a uniform map.')


def pca_colours(patches: np.ndarray) -> np.ndarray:
    """The three main components of patch features as red, green and blue.

    The components are those of all frames together, so a colour means the
    same in each. Their signs are chosen so that the frames' mean cube is
    positive; each component is stretched between its 1st and 99th percentile.

    Args:
        patches (np.ndarray): (T, h, w, D), D >= 3.

    Returns:
        np.ndarray: uint8 (T, h, w, 3).

    Raises:
        ValueError: If there are less than three channels or patches.
    """
    flat = patches.reshape(-1, patches.shape[-1]).astype(np.float64)
    if min(flat.shape) < 3:
        raise ValueError('three components need at least three channels and '
                         f'three patches, but got {patches.shape}')
    flat = flat - flat.mean(0)
    _, _, directions = np.linalg.svd(flat, full_matrices=False)
    values = flat @ directions[:3].T
    values *= np.where((values**3).mean(0) < 0, -1, 1)
    low, high = np.percentile(values, (1, 99), axis=0)
    values = (values - low) / np.maximum(high - low, 1e-12)
    colours = (255 * values.clip(0, 1)).round().astype(np.uint8)
    return colours.reshape(*patches.shape[:3], 3)


def feature_sheet(frame: np.ndarray, attention: np.ndarray,
                  colours: np.ndarray) -> np.ndarray:
    """A frame, its components, and the attention: mean, then each head.

    There are as many columns as rows, or one more, so that names stay
    readable however many heads there are.

    Args:
        frame (np.ndarray): uint8 (H', W', 3), RGB.
        attention (np.ndarray): (H, h, w).
        colours (np.ndarray): uint8 (h, w, 3), of :func:`pca_colours`.

    Returns:
        np.ndarray: uint8, the pictures row by row; white where the last row
        has none. Where there is room a name is written into the corner of
        each, under attention with the peak as a multiple of a uniform map.
    """
    size = frame.shape[1::-1]
    components = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST)
    pictures = [frame, _named(components, 'components')]
    names = ['mean'] + [f'head {head}' for head in range(len(attention))]
    for name, values in zip(names, (attention.mean(0), *attention)):
        peak = values.max() / max(values.mean(), 1e-12)
        span = max(values.max() - values.min(), 1e-12)
        values = (values - values.min()) / span
        values = cv2.resize(
            values.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        picture = heat(frame, values.clip(0, 1))
        pictures.append(_named(picture, f'{name} {peak:.1f}x'))
    columns = math.ceil(math.sqrt(len(pictures)))
    missing = -len(pictures) % columns
    pictures += [np.full_like(frame, 255)] * missing
    return np.concatenate([
        np.concatenate(pictures[i:i + columns], axis=1)
        for i in range(0, len(pictures), columns)
    ])


def with_caption(sheet: np.ndarray, title: str) -> np.ndarray:
    """A sheet with what it is, and what its pictures are, below it.

    Args:
        sheet (np.ndarray): uint8 (H', W', 3), RGB, of :func:`feature_sheet`.
        title (str): Of the frame.

    Returns:
        np.ndarray: uint8, the sheet, and below it black text on white where
        the sheet has at least 192 pixels a side; smaller ones stay as they
        are.
    """
    if min(sheet.shape[:2]) < _LEAST_SHEET:
        return sheet
    scale, line = 0.45, 18
    lines = wrap_text(f'{title}. {_CAPTION}', sheet.shape[1] - 8, scale)
    height = line * len(lines) + 8
    below = np.full((height + height % 2, sheet.shape[1], 3), 255, np.uint8)
    for i, text in enumerate(lines):
        cv2.putText(below, text, (4, line * (i + 1) - 3),
                    cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([sheet, below])


def _named(picture: np.ndarray, name: str) -> np.ndarray:
    height, width = picture.shape[:2]
    room = min(height, width) >= _LEAST  # else it would hide the picture
    return note(picture, name, 0.4) if room else picture
