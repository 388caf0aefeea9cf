"""Pictures out of pictures and maps."""
from typing import List

import cv2
import numpy as np


def grey(frame: np.ndarray) -> np.ndarray:
    """Take the colour out of uint8 (h, w, 3), RGB."""
    return cv2.cvtColor(
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def blend(below: np.ndarray, above: np.ndarray,
          share: np.ndarray) -> np.ndarray:
    """Mix two images (h, w, 3) by ``share`` (h, w) of the upper one."""
    share = share[..., None]
    mixed = (1 - share) * below + share * above
    return mixed.round().clip(0, 255).astype(np.uint8)


def heat(frame: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Lay a map over a grey frame, dark to bright.

    Args:
        frame (np.ndarray): uint8 (h, w, 3), RGB.
        strength (np.ndarray): (h, w), in [0, 1].

    Returns:
        np.ndarray: uint8 (h, w, 3), RGB.
    """
    colour = cv2.applyColorMap((255 * strength).astype(np.uint8),
                               cv2.COLORMAP_INFERNO)[..., ::-1]
    return blend(grey(frame), colour, 0.3 + 0.5 * strength)


def note(image: np.ndarray, text: str, scale: float) -> np.ndarray:
    """Write into the lower left corner, white on darkened pixels.

    Args:
        image (np.ndarray): uint8 (h, w, 3), changed in place.
        text (str): One line.
        scale (float): Of OpenCV's plain font.

    Returns:
        np.ndarray: ``image``.
    """
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), base = cv2.getTextSize(text, font, scale, 1)
    bottom = image.shape[0]
    corner = image[bottom - height - base - 4:, :width + 8]
    corner[:] = corner // 3
    cv2.putText(image, text, (4, bottom - base - 1), font, scale,
                (255, 255, 255), 1, cv2.LINE_AA)
    return image


def wrap_text(text: str, width: int, scale: float) -> List[str]:
    """Break a sentence into lines of at most ``width`` pixels.

    Args:
        text (str): Words.
        width (int): Pixels; a longer word has a line of its own.
        scale (float): Of OpenCV's plain font.

    Returns:
        list[str]: Lines.
    """
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}'.strip()
        size, _ = cv2.getTextSize(longer, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        if lines[-1] and size[0] > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
