import math
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from .read_image import read_image
from .read_mask import VOID, read_mask
from .read_names import names_below, read_split


@DATASETS.register_module()
class SemanticMaskDataset(Dataset):
    """Images with a mask of classes each, resized to squares.

    Pascal VOC's layout by default: names in
    ``ROOT/ImageSets/Segmentation/SPLIT.txt``, ``ROOT/JPEGImages/NAME.jpg``
    and ``ROOT/SegmentationClass/NAME.png``, of any form that
    :func:`read_mask` knows. Images are resized by PIL, bilinear; masks by the
    nearest pixel.

    Args:
        root (str): The folder.
        split (str): Such as 'train'.
        num_classes (int): Background included. Defaults to VOC's 21.
        size (int): Pixels of a side. Defaults to 512.
        images, masks (str): Folders in ``root``; '{split}' stands for the
            split.
        lists (str, optional): Folder of the lists in ``root``. None takes all
            images below the folder of images.
        image_suffix, mask_suffix (str): What follows a name in file names; the
            ending may be in capital letters.
        reduce_zero_label (bool): Label 0 is void, class 0 is label 1, as in
            ADE20K. Defaults to False.
        share (float): Of the split, in (0, 1], rounded up to whole images.
            Defaults to all.
        seed (int): Draws the share. Defaults to 0.

    Raises:
        ValueError: If there is no such split, a share is out of range or, for
            an item, if a mask has another size than its image, or a label
            that is no class.
    """

    def __init__(self,
                 root: str,
                 split: str,
                 num_classes: int = 21,
                 size: int = 512,
                 images: str = 'JPEGImages',
                 masks: str = 'SegmentationClass',
                 lists: Optional[str] = 'ImageSets/Segmentation',
                 image_suffix: str = '.jpg',
                 mask_suffix: str = '.png',
                 reduce_zero_label: bool = False,
                 share: float = 1.,
                 seed: int = 0) -> None:
        if not 0 < share <= 1:
            raise ValueError(f'share must lie in (0, 1], but got {share}: '
                             'give 0.125 for an eighth of the images')
        self.images = Path(root) / images.format(split=split)
        self.masks = Path(root) / masks.format(split=split)
        self.suffixes = (image_suffix, mask_suffix)
        if lists is None:
            names = names_below(self.images, image_suffix)
        else:
            names = read_split(Path(root) / lists, split)
        kept = np.random.default_rng(seed).permutation(len(names))
        kept = np.sort(kept[:math.ceil(share * len(names))])
        self.names = [names[i] for i in kept]
        self.size, self.num_classes = size, num_classes
        self.reduce_zero_label = reduce_zero_label
        self.metainfo: Dict[str, List] = dict(classes=list(range(num_classes)))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        """An image.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (3, size, size), RGB; ``data_samples``
            with ``mask``, uint8 (size, size), and ``sample_idx``.
        """
        name, size = self.names[index], (self.size, self.size)
        image = read_image(_file(self.images, name, self.suffixes[0]))
        path = _file(self.masks, name, self.suffixes[1])
        mask = read_mask(
            path, below=self.num_classes + self.reduce_zero_label)
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f'{path} must have the {image.shape[:2]} rows and columns of '
                f'its image as stored, but got {mask.shape}: check the '
                'orientation that the image notes')
        if self.reduce_zero_label:
            mask = np.where((mask == 0) | (mask == VOID), VOID, mask - 1)
        wrong = np.argwhere((mask >= self.num_classes) & (mask != VOID))
        if len(wrong):
            place = tuple(wrong[0])
            raise ValueError(
                f'{path} must hold class numbers below {self.num_classes}, '
                f'or {VOID}, but got {mask[place]} in row {place[0]}, column '
                f'{place[1]}: check num_classes')
        pixels = np.array(
            Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        mask = np.array(
            Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        sample = BaseDataElement(
            metainfo=dict(sample_idx=index, mask=torch.from_numpy(mask)))
        return dict(
            inputs=torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            data_samples=sample)


def _file(folder: Path, name: str, suffix: str) -> Path:
    """Its ending may be in capital letters."""
    path = folder / f'{name}{suffix}'
    other = path.with_suffix(path.suffix.upper())
    return other if other.is_file() and not path.is_file() else path
