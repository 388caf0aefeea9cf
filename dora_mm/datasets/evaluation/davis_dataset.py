from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS


class MaskFiles(Sequence):
    """The masks of a video, read one at a time.

    Args:
        paths (list[str]): A PNG for each frame.
        binary (bool): Whether all objects are one.
    """

    def __init__(self, paths: List[str], binary: bool) -> None:
        self.paths = paths
        self.binary = binary

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> np.ndarray:
        """Mask of a frame, uint8 (H, W), object numbers from 1."""
        with Image.open(self.paths[number]) as image:
            mask = np.array(image)
        if self.binary:
            return (mask > 0).astype(np.uint8)
        if mask.ndim != 2 or mask.max() == 255:
            raise ValueError(
                f'{self.paths[number]} has no object numbers but '
                f'{mask.ndim} axes and values up to {mask.max()}: masks of '
                'one object in black and white need year=2016')
        return mask


@DATASETS.register_module()
class DAVISDataset(Dataset):
    """Videos of DAVIS with the masks of their objects; an item is a video.

    ``ROOT/JPEGImages/480p/VIDEO/*.jpg`` and
    ``ROOT/Annotations/480p/VIDEO/*.png``. The videos are those of
    ``ROOT/ImageSets/YEAR/SPLIT.txt``; without such a file all there are.

    As in DINO's protocol a frame is resized by OpenCV, bilinear, to a short
    side of 480 and a long side that is rounded down to a multiple of 64.

    Args:
        root (str): The folder.
        year (int): 2017 takes the objects apart, 2016 as one.
        split (str): Defaults to 'val'.
        short_side (int): Pixels. Defaults to 480.

    Raises:
        ValueError: If there is nothing there or a video is incomplete.
    """

    def __init__(self,
                 root: str,
                 year: int = 2017,
                 split: str = 'val',
                 short_side: int = 480) -> None:
        if year not in (2016, 2017):
            raise ValueError(f'year must be 2016 or 2017, but got {year}')
        self.root, self.year = Path(root), year
        self.short_side = short_side
        self.metainfo = dict(dataset_type=f'DAVIS-{year}')
        names = self.root / 'ImageSets' / str(year) / f'{split}.txt'
        if names.is_file():
            self.videos = names.read_text().split()
        else:
            self.videos = sorted(
                path.name
                for path in (self.root / 'Annotations/480p').glob('*'))
        if not self.videos:
            raise ValueError(f'no videos in {self.root}/Annotations/480p: '
                             'check root, the folder that holds JPEGImages '
                             'and Annotations')

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        """A video.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (T, 3, h, w), RGB, resized;
            ``data_samples`` with ``name``, ``frame_names``, ``first_mask``,
            uint8 (H, W), and ``true_masks``, see :class:`MaskFiles`.
        """
        name = self.videos[index]
        frames = sorted((self.root / 'JPEGImages/480p' / name).glob('*.jpg'))
        masks = [
            self.root / 'Annotations/480p' / name / f'{path.stem}.png'
            for path in frames
        ]
        if len(frames) < 3 or not all(path.is_file() for path in masks):
            raise ValueError(
                f'{self.root}: video {name} has {len(frames)} frames and '
                f'{sum(path.is_file() for path in masks)} masks of them; at '
                'least three frames, each with a mask, are needed')
        masks = MaskFiles([str(path) for path in masks], self.year == 2016)
        sample = BaseDataElement(
            metainfo=dict(
                name=name,
                frame_names=[path.stem for path in frames],
                first_mask=masks[0],
                true_masks=masks))
        inputs = torch.stack([self._read(path) for path in frames])
        return dict(inputs=inputs, data_samples=sample)

    def _read(self, path):
        image = cv2.imread(str(path))
        if image is None:
            raise ValueError(f'{path} cannot be decoded')
        size = protocol_size(image.shape[:2], self.short_side)
        image = cv2.resize(image, size[::-1])[..., ::-1]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def protocol_size(size: Tuple[int, int],
                  short_side: int = 480) -> Tuple[int, int]:
    """The size that DINO's protocol resizes a frame to.

    Args:
        size (tuple[int, int]): Height and width.
        short_side (int): Pixels. Defaults to 480.

    Returns:
        tuple[int, int]: Height and width.
    """
    height, width = size
    if height > width:
        return int(short_side * height / width // 64 * 64), short_side
    return short_side, int(short_side * width / height // 64 * 64)
