from fractions import Fraction
from typing import Any, NamedTuple, Tuple

import numpy as np


class Display(NamedTuple):
    """How stored pictures are to be shown, as FFmpeg's command shows them.

    Attributes:
        transposed (bool): Rows become columns, before the picture is flipped.
        flip_x (bool): Left and right change places.
        flip_y (bool): Top and bottom change places.
        aspect (Fraction): Width of a stored pixel over its height.
    """
    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False
    aspect: Fraction = Fraction(1)

    @classmethod
    def of(cls, frame: Any, stream: Any = None) -> 'Display':
        """Read it from the display matrix of a frame.

        Args:
            frame (av.VideoFrame): A decoded frame.
            stream (av.VideoStream, optional): Its stream, which knows the
                shape of the pixels. None takes them for squares.

        Returns:
            Display: How to show the frame.

        Raises:
            ValueError: If the picture is turned by no multiple of 90 degrees.
        """
        aspect = stream and stream.sample_aspect_ratio
        aspect = Fraction(aspect) if aspect else Fraction(1)
        data = frame.side_data.get('DISPLAYMATRIX')
        if data is None:
            return cls(aspect=aspect)
        # x' = a x + c y, y' = b x + d y, in units of 1 / 65536.
        a, b, _, c, d = np.frombuffer(data, np.int32)[:5] / 65536
        upright, turned = min(abs(a), abs(d)), min(abs(b), abs(c))
        if min(upright, turned) > 0.02 * max(upright, turned):
            raise ValueError(
                'the display matrix must turn the picture by a multiple of 90 '
                f'degrees, but got {[float(v) for v in (a, b, c, d)]}: encode '
                'the video anew without it')
        if turned > upright:
            return cls(True, bool(c < 0), bool(b < 0), aspect)
        return cls(False, bool(a < 0), bool(d < 0), aspect)

    def shown_size(self, width: int, height: int) -> Tuple[int, int]:
        """Size of a picture as it is shown; no pixel is lost.

        Args:
            width (int): Of the stored picture, in pixels.
            height (int): Of the stored picture, in pixels.

        Returns:
            tuple[int, int]: Width and height in square pixels.
        """
        if self.aspect > 1:
            width = round(width * self.aspect)
        elif self.aspect < 1:
            height = round(height / self.aspect)
        return (height, width) if self.transposed else (width, height)

    def stored_size(self, width: int, height: int) -> Tuple[int, int]:
        """Size to which a stored picture is scaled before it is turned."""
        return (height, width) if self.transposed else (width, height)

    def orient(self, picture: np.ndarray) -> np.ndarray:
        """Turn and mirror a picture, or one plane of it.

        Args:
            picture (np.ndarray): (rows, columns, ...), as stored.

        Returns:
            np.ndarray: As shown, contiguous.
        """
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        if self.flip_y:
            picture = picture[::-1]
        if self.flip_x:
            picture = picture[:, ::-1]
        return np.ascontiguousarray(picture)


def same_shape(a: Tuple[int, int], b: Tuple[int, int]) -> bool:
    """Whether two sizes differ by scaling alone, up to a pixel."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= max(*a, *b)
