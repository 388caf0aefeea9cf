import logging
from typing import Callable, Optional

from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from dora_mm.registry import TRANSFORMS
from dora_mm.video.readers import MJPEGReader, ReaderPool, VideoInfo
from dora_mm.video.video_manifest import VideoManifest
from .clip_random_resized_crop import ClipRandomResizedCrop

_LARGE = 1 << 30  # bytes


@TRANSFORMS.register_module()
class LoadClipFromVideo(BaseTransform):
    """Decode the frames of a clip.

    The files are opened in the process that reads them and stay open. Where
    :class:`ClipRandomResizedCrop` comes directly behind, frames of prepared
    videos are left to it, which decodes the box that it draws and no more.

    **Required Keys:**

    - video_path (str)
    - frame_indices (int64 (T, ))

    **Added Keys:**

    - clip (uint8 (T, H, W, 3), RGB), or reader (MJPEGReader) for the crop

    Args:
        reader (dict, optional): Config of the reader, ``type`` and its
            arguments. None chooses for each file, see
            :func:`dora_mm.video.readers.build_reader.choose_reader`.
            Defaults to None.
        max_open_files (int): Most files that one worker keeps open. Opening
            an hour of 4K takes seconds, keeping it open takes memory.
            Defaults to 4.

    Raises:
        ValueError: If ``max_open_files`` is below 1 or the reader unknown.
    """

    def __init__(self,
                 reader: Optional[dict] = None,
                 max_open_files: int = 4) -> None:
        self.pool = ReaderPool(reader, max_open_files)
        self._crop_follows = False

    def look_ahead(self, behind: Optional[Callable]) -> None:
        """Leave JPEGs to the crop, if that is the transform behind.

        Args:
            behind (Callable, optional): The transform that gets what this one
                returns.
        """
        # Subclasses may expect frames.
        self._crop_follows = (
            type(self).transform is LoadClipFromVideo.transform
            and getattr(type(behind), 'transform',
                        None) is ClipRandomResizedCrop.transform)

    def check_video(self, info: VideoInfo) -> None:
        """Refuse a file that the reader is known to fail on.

        Warns of a large original, whose clips cost seconds each.

        Args:
            info (VideoInfo): The file's description.

        Raises:
            ValueError: Naming the file and the remedy.
        """
        self.pool.check_video(info)
        if info.num_bytes > _LARGE and VideoManifest.load(info.path) is None:
            print_log(
                f'{info.path!r} is not prepared: each of its clips may take '
                'seconds to read. Prepare it with tools/prepare_video.py, or '
                'train as configs/dora/vit-s16_wt_originals.py does.',
                logger='current',
                level=logging.WARNING)

    def transform(self, results: dict) -> dict:
        """Decode the frames.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: The same dict with ``clip`` or ``reader`` added.

        Raises:
            VideoDecodeError: If a frame cannot be decoded.
        """
        reader = self.pool.get(results['video_path'])
        if self._crop_follows and isinstance(reader, MJPEGReader):
            results['reader'] = reader
        else:
            results['clip'] = reader.get_frames(results['frame_indices'])
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(reader={self.pool.reader}, '
                f'max_open_files={self.pool.max_open})')
