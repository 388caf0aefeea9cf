from typing import Tuple

import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from .display import Crop, Display
from .set_color_matrix import set_color_matrix

_FULL_RANGE = 2


class PlaneScaler:
    """From a decoded frame to the planes that a writer takes.

    Scales by the mean over areas and converts the colours from what the
    source says they are to BT.601, in one pass. A source that does not say is
    taken for BT.601, as the readers take it, so that a prepared video has the
    colours of its original. A picture that asks to be rotated or mirrored
    when it is shown, as telephones write them, is.

    Args:
        size (tuple[int, int]): Width and height of the result in pixels, as
            it is shown.
        full_range (bool): Whether the result has the range 0 to 255.
        crop (Crop): Of the index of the frames' file.
    """

    def __init__(self, size: Tuple[int, int], full_range: bool,
                 crop: Crop) -> None:
        self.size = size
        self._crop = crop
        self._output = dict(
            # swscale takes the range from the name for this one alone.
            format='yuvj420p' if full_range else 'yuv420p',
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
            interpolation='AREA',
            threads=1)
        self._reformatter = VideoReformatter()

    def __call__(self, frame) -> Tuple[np.ndarray, ...]:
        """Scale and convert a frame.

        Args:
            frame (av.VideoFrame): The frame, of any size and format.

        Returns:
            tuple[np.ndarray]: Y, U and V in 4:2:0, uint8 (rows, columns).

        Raises:
            PictureError: If it cannot be shown as its file says.
        """
        display = Display.of(frame, self._crop)
        width, height = display.stored_size(*self.size)
        full = (
            int(frame.color_range) == _FULL_RANGE
            or frame.format.name.startswith('yuvj'))
        cut = display.cut(frame)
        set_color_matrix(cut)
        scaled = self._reformatter.reformat(
            cut,
            width,
            height,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            **self._output)
        return tuple(display.orient(p) for p in planes_of(scaled))


def planes_of(frame) -> Tuple[np.ndarray, ...]:
    """Planes of a frame, without a copy.

    Args:
        frame (av.VideoFrame): Of a planar 8-bit format.

    Returns:
        tuple[np.ndarray]: Each uint8 (rows, columns).
    """
    return tuple(
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        [:, :plane.width] for plane in frame.planes)
