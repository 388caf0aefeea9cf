from abc import ABCMeta, abstractmethod
from typing import Optional, Sequence

import numpy as np

from .load_video_index import load_video_index
from .video_decode_error import REPAIR, VideoDecodeError
from .video_index import VideoIndex
from .video_info import VideoInfo


class VideoReader(metaclass=ABCMeta):
    """Random access to the frames of one file, in one process.

    The constructor is cheap; a subclass opens the file at the first read.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._index: Optional[VideoIndex] = None  # survives close()

    @classmethod
    def check_video(cls, info: VideoInfo) -> None:
        """Refuse a file that this reader is known to fail on.

        Called once a file in the main process, so that the run stops before
        it starts.

        Args:
            info (VideoInfo): The file's description.

        Raises:
            ValueError: Naming the file and the remedy.
        """

    @property
    def index(self) -> VideoIndex:
        """Where the frames are.

        Raises:
            VideoDecodeError: If the file is gone or no video.
        """
        if self._index is None:
            try:
                self._index = load_video_index(self.path)
            except FileNotFoundError as error:
                raise VideoDecodeError(self.path, 'the file is gone',
                                       REPAIR) from error
            except VideoDecodeError:
                raise
            except (OSError, ValueError) as error:
                raise VideoDecodeError(self.path,
                                       f'{type(error).__name__}: {error}',
                                       REPAIR) from error
        return self._index

    @property
    def num_frames(self) -> int:
        """Number of frames that can be read."""
        return self.index.num_frames

    @property
    def fps(self) -> float:
        """Average frames per second."""
        return float(self.index.fps)

    def check_indices(self, indices: Sequence[int]) -> None:
        """Refuse frame numbers that the file does not have.

        Args:
            indices (Sequence[int]): Frame numbers.

        Raises:
            VideoDecodeError: If one is not in [0, num_frames).
        """
        for number in indices:
            if not 0 <= number < self.num_frames:
                raise VideoDecodeError(
                    self.path, f'frame {number} was asked for, but there are '
                    f'only {self.num_frames}', REPAIR, int(number))

    @abstractmethod
    def get_frames(self, indices: Sequence[int]) -> np.ndarray:
        """Decode frames.

        Args:
            indices (Sequence[int]): Frame numbers, T of them, each in
                [0, num_frames), in any order.

        Returns:
            np.ndarray: RGB frames, uint8 (T, H, W, 3), in that order.

        Raises:
            VideoDecodeError: If any of them cannot be decoded.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the file and the decoder; a later read opens them again."""
