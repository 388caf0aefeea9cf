from abc import ABCMeta, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Sequence, Tuple, Union

import av
import numpy as np


class VideoWriter(metaclass=ABCMeta):
    """An mp4 file of constant frame rate, of one stream, without B frames.

    A context manager; the file is complete when it is left.

    Args:
        path (str | Path): File to write, with the extension ``.mp4``.
        size (tuple[int, int]): Width and height in pixels, both even.
        fps (Fraction): Frames per second.
    """

    #: What the manifest says about the encoder.
    SETTINGS: ClassVar[dict]
    #: Whether samples have the range 0 to 255 instead of 16 to 235 (luma) and
    #: 16 to 240 (chroma). The matrix is that of BT.601 in either case: some
    #: readers know no other.
    FULL_RANGE: ClassVar[bool]

    def __init__(self, path: Union[str, Path], size: Tuple[int, int],
                 fps: Fraction) -> None:
        self.size = size
        self.fps = fps
        self.num_frames = 0
        self._container = av.open(str(path), 'w')
        self._stream = self._add_stream()

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *exc_info) -> None:
        if exc_info[0] is None:
            self._flush()
        self._container.close()

    @abstractmethod
    def _add_stream(self):
        """Add the stream to the container."""

    @abstractmethod
    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """Append a picture.

        Args:
            planes (Sequence[np.ndarray]): Y, U and V in 4:2:0, each uint8
                (rows, columns), of the range of :attr:`FULL_RANGE`.
            times (int): How many frames show it. Defaults to 1.
        """

    def _flush(self) -> None:
        """Write what the encoder holds back."""
