"""Writing panels as PNG and as video."""
from fractions import Fraction
from pathlib import Path
from typing import Sequence, Union

import cv2
import numpy as np

from dora_mm.video.write_video import write_video


def write_png(path: Union[str, Path], image: np.ndarray) -> None:
    """Write a picture.

    Args:
        path (str | Path): The file.
        image (np.ndarray): (height, width, 3), uint8, RGB.

    Raises:
        OSError: If it cannot be written.
    """
    if not cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1])):
        raise OSError(f'{path} cannot be written')


def write_mp4(path: Union[str, Path], images: Sequence[np.ndarray],
              seconds_per_image: float) -> None:
    """Write pictures as an H.264 video.

    Each picture is repeated to about 10 frames per second, because players
    are not made for one frame a second.

    Args:
        path (str | Path): The file.
        images (Sequence[np.ndarray]): (height, width, 3) each, uint8, RGB,
            even sides.
        seconds_per_image (float): How long a picture stays.
    """
    repeats = max(round(10 * seconds_per_image), 1)
    rate = Fraction(repeats / seconds_per_image).limit_denominator(1000)
    frames = (image for image in images for _ in range(repeats))
    write_video(path, frames, rate)
