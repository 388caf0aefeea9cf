from dataclasses import dataclass
from typing import Optional

import numpy as np

from dora_mm.models.utils.setting_checks import check_integer
from dora_mm.video.readers import VideoInfo


@dataclass(frozen=True)
class ClipSpacing:
    """How the frames of a clip lie in a file.

    Attributes:
        clip_len (int): Frames in a clip, T.
        frame_interval (float, optional): Seconds between neighbouring frames.
            Exactly one of this and ``frame_stride`` is given.
        frame_stride (int, optional): Frames from one frame to the next.

    Raises:
        ValueError: If one is out of range, or both or none are given.
    """
    clip_len: int
    frame_interval: Optional[float] = None
    frame_stride: Optional[int] = None

    def __post_init__(self) -> None:
        if (self.frame_interval is None) == (self.frame_stride is None):
            raise ValueError(
                'exactly one of frame_interval (seconds) and frame_stride '
                f'(frames) must be given, but got {self.frame_interval} and '
                f'{self.frame_stride}')
        check_integer('clip_len', self.clip_len, 1)
        if self.frame_stride is not None:
            check_integer('frame_stride', self.frame_stride, 1)
        elif not self.frame_interval > 0:
            raise ValueError('frame_interval must be a positive number of '
                             f'seconds, but got {self.frame_interval}')

    def step(self, info: VideoInfo) -> int:
        """Frames from one frame of a clip to the next.

        Args:
            info (VideoInfo): The file.

        Returns:
            int: At least 1.

        Raises:
            ValueError: If ``frame_interval`` is less than half a frame.
        """
        if self.frame_stride is not None:
            return self.frame_stride
        step = round(info.fps * self.frame_interval)
        if step < 1:
            raise ValueError(
                'frame_interval must be more than half a frame of '
                f'{info.path!r}, but got {self.frame_interval} seconds: use '
                f'at least {1 / info.fps:.4f}')
        return step

    def offsets(self, info: VideoInfo) -> np.ndarray:
        """Frames of a clip of a file, from its start frame.

        Args:
            info (VideoInfo): The file.

        Returns:
            np.ndarray: int64 (T, ).
        """
        return np.arange(self.clip_len, dtype=np.int64) * self.step(info)

    def num_starts(self, info: VideoInfo) -> int:
        """Start frames of clips in a file.

        Args:
            info (VideoInfo): The file.

        Returns:
            int: 0 if the file is shorter than a clip.
        """
        gaps = self.clip_len
        if self.frame_stride is None:
            gaps -= 1
        return max(0, info.num_frames - gaps * self.step(info))
