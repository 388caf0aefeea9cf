from mmcv.transforms import BaseTransform

from dora_mm.registry import TRANSFORMS
from dora_mm.video.readers import ReaderPool, VideoInfo


@TRANSFORMS.register_module()
class ReadClipJPEGs(BaseTransform):
    """Read the JPEGs of a clip, which the device decodes.

    In place of :class:`LoadClipFromVideo`, for videos of JPEGs (prepared
    ones) and a model with :class:`JPEGClipPreprocessor`. The transforms
    behind it are the same: they draw the box of the clip, and pack the bytes
    with it. The checksum that the preparation wrote into each JPEG is looked
    at here, so that a damaged clip is replaced as any other; a decoder on the
    device may show damage.

    **Required Keys:**

    - video_path (str)
    - frame_indices (int64 (T, ))

    **Added Keys:**

    - jpegs (list of bytes, T)
    - img_shape (tuple of int: height, width of the frames in pixels)

    Args:
        max_open_files (int): Most files that one worker keeps open. Defaults
            to 4.

    Raises:
        ValueError: If ``max_open_files`` is below 1.
    """

    def __init__(self, max_open_files: int = 4) -> None:
        self.pool = ReaderPool(dict(type='MJPEGReader'), max_open_files)

    def check_video(self, info: VideoInfo) -> None:
        """Refuse a file whose frames are not JPEGs with checksums.

        Args:
            info (VideoInfo): The file's description.

        Raises:
            ValueError: Naming the file and the remedy.
        """
        self.pool.check_video(info)
        if not self.pool.get(info.path).has_checksum(0):
            raise ValueError(
                f'the JPEGs of {info.path!r} must have checksums to be decoded'
                ' on the device, but the first has none: prepare the video by '
                'tools/prepare_video.py, or decode in the workers '
                '(LoadClipFromVideo)')

    def transform(self, results: dict) -> dict:
        """Read the JPEGs.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: The same dict with the added keys.

        Raises:
            VideoDecodeError: If a frame cannot be read or is damaged.
        """
        reader = self.pool.get(results['video_path'])
        results['jpegs'] = reader.get_jpegs(results['frame_indices'])
        results['img_shape'] = (reader.index.height, reader.index.width)
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(max_open_files='
                f'{self.pool.max_open})')
