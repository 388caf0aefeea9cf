from fractions import Fraction
from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from .picture_error import PictureError

# Pixels that are left out left, right, at the top and at the bottom.
Crop = Tuple[int, int, int, int]
NO_CROP: Crop = (0, 0, 0, 0)
_MOST_ASKEW = 0.02  # about a degree, which FFmpeg's command does not turn


class Display(NamedTuple):
    """How stored pictures are to be shown, as FFmpeg's command shows them.

    Attributes:
        transposed (bool): Rows become columns, before the picture is flipped.
        flip_x (bool): Left and right change places.
        flip_y (bool): Top and bottom change places.
        aspect (Fraction): Width of a stored pixel over its height.
        crop (Crop): Pixels of the stored picture that are left out.
    """
    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False
    aspect: Fraction = Fraction(1)
    crop: Crop = NO_CROP

    @classmethod
    def of(cls, frame: Any, crop: Crop, stream: Any = None) -> 'Display':
        """Read it from the display matrix of a frame.

        Args:
            frame (av.VideoFrame): A decoded frame.
            crop (Crop): Of the file's index.
            stream (av.VideoStream, optional): Its stream, which knows the
                shape of the pixels. None takes them for squares.

        Returns:
            Display: How to show the frame.

        Raises:
            PictureError: If the picture is turned by no multiple of 90
                degrees, or skewed.
        """
        aspect = stream and stream.sample_aspect_ratio
        aspect = Fraction(aspect) if aspect else Fraction(1)
        data = cls.matrix_of(frame)
        if data is None:
            return cls(aspect=aspect, crop=crop)
        # x' = a x + c y, y' = b x + d y, in units of 1 / 65536.
        a, b, _, c, d = np.frombuffer(data, np.int32)[:5] / 65536
        upright, turned = (abs(a), abs(d)), (abs(b), abs(c))
        is_upright = max(turned) <= _MOST_ASKEW * min(upright)
        if not is_upright and max(upright) > _MOST_ASKEW * min(turned):
            # Not at the top: the readers import this.
            from .readers.ffmpeg_command import ffmpeg_command

            raise PictureError(
                'the display matrix must turn the picture by a multiple of 90 '
                f'degrees, but got {[float(v) for v in (a, b, c, d)]}',
                'Encode it anew, which turns the pictures: ' +
                ffmpeg_command('-i FILE OUT.mp4'))
        if not is_upright:
            return cls(True, bool(c < 0), bool(b < 0), aspect, crop)
        return cls(False, bool(a < 0), bool(d < 0), aspect, crop)

    @staticmethod
    def matrix_of(frame: Any) -> Optional[bytes]:
        """The display matrix of a frame, None if it has none."""
        data = frame.side_data.get('DISPLAYMATRIX')
        return None if data is None else bytes(data)

    def shown_size(self, frame: Any) -> Tuple[int, int]:
        """Size of a frame as it is shown; no pixel that is shown is lost.

        Args:
            frame (av.VideoFrame): As decoded.

        Returns:
            tuple[int, int]: Width and height in square pixels.
        """
        width, height = self._box(frame)[:2]
        if self.aspect > 1:
            width = round(width * self.aspect)
        elif self.aspect < 1:
            height = round(height / self.aspect)
        return (height, width) if self.transposed else (width, height)

    def stored_size(self, width: int, height: int) -> Tuple[int, int]:
        """Size to which a stored picture is scaled before it is turned."""
        return (height, width) if self.transposed else (width, height)

    def cut(self, frame: Any) -> Any:
        """The part of a frame that is shown, by FFmpeg's own filters.

        It is called progressive, or swscale would convert the colours of an
        interlaced one by fields, which FFmpeg's command does not.

        Args:
            frame (av.VideoFrame): As decoded.

        Returns:
            av.VideoFrame: Of the same format; the same frame if nothing is to
            be done.
        """
        filters = []
        if any(self.crop):
            filters += [('crop', ':'.join(map(str, self._box(frame))))]
        if frame.interlaced_frame:
            filters += [('setfield', 'prog')]
        if not filters:
            return frame
        from av.filter import Graph

        graph = Graph()
        chain = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=Fraction(1)),  # of no use here
            *(graph.add(*filter) for filter in filters),
            graph.add('buffersink')
        ]
        graph.link_nodes(*chain).configure()
        graph.push(frame)
        return graph.pull()

    def _box(self, frame: Any) -> Tuple[int, int, int, int]:
        """Width, height, column and row; whole samples of colour, as FFmpeg.
        """
        left, right, top, bottom = self.crop
        width, height = frame.width - left - right, frame.height - top - bottom
        if any(self.crop):
            x, y = (8 // n for n in (frame.format.chroma_width(8),
                                     frame.format.chroma_height(8)))
            left, width = left // x * x, width // x * x
            top, height = top // y * y, height // y * y
        if min(width, height) < 1:
            raise ValueError(
                'the container must leave some of the picture, but it crops '
                f'{self.crop} of {frame.width}x{frame.height}')
        return width, height, left, top

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
