"""Writing panels as PNG and as video."""
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np


def write_png(path, image):
    """Write a picture.

    Args:
        path (str | Path): The file.
        image (np.ndarray): (height, width, 3), uint8, RGB.

    Raises:
        OSError: If it cannot be written.
    """
    if not cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1])):
        raise OSError(f'{path} cannot be written')


def write_mp4(path, images, seconds_per_image):
    """Write pictures as an H.264 video.

    Each picture is repeated to about 10 frames per second, because players
    are not made for one frame a second.

    Args:
        path (str | Path): The file.
        images (Sequence[np.ndarray]): (height, width, 3) each, uint8, RGB,
            even sides.
        seconds_per_image (float): How long a picture stays.
    """
    # here, because only a video needs it
    import av
    repeats = max(round(10 * seconds_per_image), 1)
    rate = Fraction(repeats / seconds_per_image).limit_denominator(1000)
    height, width = images[0].shape[:2]
    with av.open(str(Path(path)), 'w') as container:
        stream = container.add_stream('libx264', rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = 'yuv420p'
        stream.options = dict(preset='veryfast', crf='20')
        for image in images:
            for _ in range(repeats):
                frame = av.VideoFrame.from_ndarray(image, format='rgb24')
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
