import hashlib
import inspect
from pathlib import Path
from typing import List, Optional, Tuple, Union

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from dora_mm.utils.counted import counted
from dora_mm.video.video_files import VIDEO_EXTENSIONS
from .check_pipeline import check_pipeline
from .evaluation.image_source import ImageSource
from .load_or_replace import load_or_replace


@DATASETS.register_module()
class ImageClipDataset(Dataset):
    """Images as clips of one frame, for pretraining without a video.

    The rest of the pipeline, views and models are those of videos. Images are
    turned as the file says they are to be shown (EXIF), since there are no
    labels. The memory of a loader does not grow with its workers.

    Args:
        images (str | Path): A folder, with all images below it; an
            uncompressed tar file; a list (``.txt``), one path a line; or a
            COCO file (``.json``): see :class:`ImageSource`.
        pipeline (Sequence[dict]): Transforms of a clip, without one that
            loads it. They get ``clip`` (uint8 (1, H, W, 3), RGB),
            ``video_path`` (the image's name), ``frame_indices`` (0), ``seed``
            and ``num_replaced``.
        root (str | Path, optional): Folder that the paths of a list or COCO
            file start from. Defaults to that of the file.
        max_replacements (int): An image that cannot be decoded is replaced by
            another one, drawn from the seed, up to so many times in a row.
            Defaults to 8.

    Attributes:
        digest (list): Name of ``images``, number of images, and a hash of
            their names and places, which tells another set from this one.

    Raises:
        ValueError: If there are no images, or an argument is out of range.
    """

    def __init__(self,
                 images: Union[str, Path],
                 pipeline: List[dict],
                 root: Optional[Union[str, Path]] = None,
                 max_replacements: int = 8) -> None:
        _check(images, max_replacements)
        self.max_replacements = max_replacements
        self.pipeline = Compose(pipeline)
        self.source = ImageSource(images, root)
        names = hashlib.sha256()
        for item in self.source.items:
            names.update(repr(item).encode(errors='surrogateescape'))
        self.digest = [
            self.source.path.name,
            len(self.source),
            names.hexdigest()
        ]
        self.source.pack()
        print_log(counted(len(self), 'image'), logger='current')

    @classmethod
    def check_settings(cls, **settings) -> None:
        """Check arguments for training, without opening a file.

        Args:
            **settings: Of the class, its transforms as dicts.

        Raises:
            ValueError: See the class; or what the pipeline makes is not for
                a model.
        """
        given = inspect.signature(cls).bind(**settings)
        given.apply_defaults()
        given = given.arguments
        _check(given['images'], given['max_replacements'])
        check_pipeline(given['pipeline'], reads_video=False)

    @property
    def metainfo(self) -> dict:
        """What the clips are made of, for logs and visualisers."""
        return dict(
            dataset_type='images',
            clip_len=1,
            images=str(self.source.path),
            num_images=len(self))

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, item: Union[int, Tuple[int, int]]) -> dict:
        """Load and transform an image.

        Args:
            item (int | tuple[int, int]): Index; or index and seed, as
                :class:`ClipSampler` yields them. For an index alone the seed
                comes from torch's global generator.

        Returns:
            dict: What the pipeline makes of it.

        Raises:
            IndexError: If the index is out of range.
            RuntimeError: If all the replacements cannot be decoded either.
        """
        if not isinstance(item, tuple):
            item = (item, torch.randint(2**63 - 1, ()).item())
        index, seed = map(int, item)
        if not -len(self) <= index < len(self):
            raise IndexError(f'image {index} of {len(self)} is out of range')
        found = load_or_replace(self._read, index % len(self), seed,
                                len(self), self.max_replacements, ValueError,
                                'Repair the images or leave them out')
        return self.pipeline(dict(found, seed=seed))

    def _read(self, index: int, attempt: int) -> dict:
        return dict(
            clip=self.source.read(index, upright=True)[None],
            video_path=self.source.items[index]['name'],
            frame_indices=np.zeros(1, np.int64),
            num_replaced=attempt)


def _check(images: Union[str, Path], max_replacements: int) -> None:
    if max_replacements < 0:
        raise ValueError('max_replacements must be at least 0, but got '
                         f'{max_replacements}: 8 is the default')
    if Path(images).suffix.lower() in VIDEO_EXTENSIONS:
        raise ValueError(
            f'images must be no video, but got {str(images)!r}: frames of '
            'videos are clips of WalkingToursVideoDataset with clip_len=1')
    if not Path(images).exists():
        raise ValueError(
            f'images must be a file or a folder, but got {str(images)!r}, '
            'which does not exist: check the path')
