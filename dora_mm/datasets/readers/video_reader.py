from abc import ABCMeta, abstractmethod
from typing import Sequence

import numpy as np

from .video_info import VideoInfo


class VideoReader(metaclass=ABCMeta):
    """Random access to the frames of one file, in one process.

    The constructor is cheap; a subclass opens the file at the first read.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

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
    @abstractmethod
    def num_frames(self) -> int:
        """Number of frames that the file promises."""

    @property
    @abstractmethod
    def fps(self) -> float:
        """Average frames per second."""

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
