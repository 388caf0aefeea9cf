import math
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from torch.utils.data import get_worker_info

from dora_mm.registry import TRANSFORMS
from dora_mm.video.readers import (PyAVReader, ReaderPool, VideoDecodeError,
                                   VideoInfo)
from dora_mm.video.readers.mjpeg_reader import decode_jpegs
from dora_mm.video.scaled_size import scaled_size

# Frames that a block is decoded ahead by, over what is used meanwhile.
_SLACK = 1.25


class Window(NamedTuple):
    """Frames [begin, end) of a file, with all clips of a block."""
    path: str
    begin: int
    end: int

    def contains(self, path: str, indices: np.ndarray) -> bool:
        """Whether the frames of a clip, ascending, are inside."""
        return (path == self.path and self.begin <= indices[0]
                and indices[-1] < self.end)


class _Frames:
    """The frames of a window, decoded in order and kept as JPEGs."""

    def __init__(self, window: Window, short_side: int, quality: int) -> None:
        self.window = window
        self.short_side = short_side
        self.quality = quality
        self._jpegs: Dict[int, bytes] = {}
        self._stream = self._decode()
        self._next = window.begin

    def advance(self, num_frames: Optional[int] = None) -> None:
        """Decode so many frames more; None decodes all that are left."""
        stop = self.window.end
        if num_frames is not None:
            stop = min(stop, self._next + num_frames)
        while self._next < stop:
            number, jpeg = next(self._stream, (self.window.end - 1, None))
            self._jpegs[number] = jpeg
            self._next = number + 1
        if self._next == self.window.end:
            self._stream.close()  # and the file with it

    def get(self, indices: np.ndarray) -> np.ndarray:
        """Frames of a clip, uint8 (T, H, W, 3)."""
        self.advance()
        path = self.window.path
        for number in map(int, indices):
            if self._jpegs.get(number) is None:
                raise VideoDecodeError(
                    path, f'frame {number} cannot be decoded',
                    'Prepare the video with tools/prepare_video.py, which '
                    'leaves such frames out', number)
        jpegs = [self._jpegs[int(number)] for number in indices]
        return decode_jpegs(jpegs, path, indices)

    def _decode(self) -> Iterator[Tuple[int, bytes]]:
        """Number and JPEG of each frame."""
        import simplejpeg

        from dora_mm.video.plane_scaler import PlaneScaler

        reader = PyAVReader(self.window.path)
        scale = None
        try:
            for number, frame in reader.iter_frames(self.window.begin,
                                                    self.window.end):
                if scale is None:
                    size = scaled_size(reader.index.width, reader.index.height,
                                       self.short_side)
                    scale = PlaneScaler(size, True, reader.index.crop)
                yield number, simplejpeg.encode_jpeg_yuv_planes(
                    *scale(frame), quality=self.quality)
        finally:
            reader.close()


@TRANSFORMS.register_module()
class LoadClipFromBlock(BaseTransform):
    """Decode the frames of a clip together with those of its neighbours.

    For :class:`BlockClipSampler`, which says which blocks of clips to hold.
    The frames of a block are decoded in one go, shrunk, and kept as JPEGs in
    the memory of the worker; the next block is decoded little by little, a
    few frames with each clip, so that no clip has to wait for it. A block of
    480 clips at 60 frames per second is 901 frames, 80 to 170 MB.

    **Required Keys:**

    - video_path (str)
    - frame_indices (int64 (T, ))
    - slot (int), windows (list), upcoming: What
      :class:`WalkingToursVideoDataset` makes of a :class:`ClipRequest`

    **Added Keys:**

    - clip (uint8 (T, H, W, 3), RGB)

    Args:
        short_side (int): Shrink frames whose shorter side is larger to this
            many pixels. Defaults to 600.
        quality (int): JPEG quality, 1 to 100. Defaults to 90.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, short_side: int = 600, quality: int = 90) -> None:
        if short_side < 1:
            raise ValueError('short_side must be a positive number of '
                             f'pixels, but got {short_side}')
        if not 1 <= quality <= 100:
            raise ValueError(
                f'quality must be in [1, 100], but got {quality}')
        self.short_side = short_side
        self.quality = quality
        # One set of windows for each lane that this worker serves.
        self._held: Dict[int, Dict[Window, _Frames]] = {}
        # For clips outside the blocks, which stand in for damaged ones.
        self._pool = ReaderPool(dict(type='PyAVReader', short_side=short_side))

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _held={})

    def check_video(self, info: VideoInfo) -> None:
        """Refuse a file whose frames cannot be found.

        Args:
            info (VideoInfo): The file's description.

        Raises:
            ValueError: Naming the file and the remedy.
        """
        self._pool.check_video(info)

    def transform(self, results: dict) -> dict:
        """Decode the frames.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: The same dict with ``clip`` added.

        Raises:
            VideoDecodeError: If a frame cannot be decoded.
            ValueError: If sampler and dataloader do not fit.
        """
        slot = results.get('slot')
        _check_slot(slot)
        windows = [Window(*w) for w in results['windows']]
        if results['upcoming'] is None:
            held = self._hold(slot, windows)
        else:
            upcoming, num_clips = results['upcoming']
            upcoming = Window(*upcoming)
            held = self._hold(slot, [*windows, upcoming])
            share = _SLACK * (upcoming.end - upcoming.begin) / num_clips
            held[upcoming].advance(math.ceil(share))
        results['clip'] = self._read(results['video_path'],
                                     results['frame_indices'],
                                     [held[window] for window in windows])
        return results

    def _hold(self, slot: int, windows: List[Window]) -> Dict[Window, _Frames]:
        """Make these the windows of a lane, and forget all others."""
        old = self._held.get(slot, {})
        for window in windows:
            if window not in old:
                self._pool.check_unchanged(window.path)
        self._held[slot] = {
            window:
            old.get(window) or _Frames(window, self.short_side, self.quality)
            for window in windows
        }
        return self._held[slot]

    def _read(self, path: str, indices: np.ndarray,
              held: List[_Frames]) -> np.ndarray:
        for frames in held:
            if frames.window.contains(path, indices):
                return frames.get(indices)
        return self._pool.get(path).get_frames(indices)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(short_side={self.short_side}, '
                f'quality={self.quality})')


def _check_slot(slot: Optional[int]) -> None:
    """Refuse what would make every worker decode every block."""
    worker = get_worker_info()
    if slot is None:
        raise ValueError('LoadClipFromBlock needs the blocks that '
                         'BlockClipSampler names: choose it in the '
                         'dataloader, or LoadClipFromVideo here')
    if worker is not None and slot % worker.num_workers != worker.id:
        raise ValueError(
            f'batch {slot} came to worker {worker.id} of '
            f'{worker.num_workers}: batch_size of BlockClipSampler must be '
            "the dataloader's, and its num_lanes a multiple of "
            'num_workers')
