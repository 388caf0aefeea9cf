from pathlib import Path
from typing import Dict, List

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from .read_image import read_image
from .read_mask import VOID, read_mask
from .read_names import read_split


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
        images, masks, lists (str): Folders in ``root``.

    Raises:
        ValueError: If there is no such split or, for an item, if a mask has
            another size than its image, or a label that is no class.
    """

    def __init__(self,
                 root: str,
                 split: str,
                 num_classes: int = 21,
                 size: int = 512,
                 images: str = 'JPEGImages',
                 masks: str = 'SegmentationClass',
                 lists: str = 'ImageSets/Segmentation') -> None:
        self.root, self.names = Path(root), read_split(
            Path(root) / lists, split)
        self.images, self.masks, self.size = images, masks, size
        self.num_classes = num_classes
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
        image = read_image(self.root / self.images / f'{name}.jpg')
        path = self.root / self.masks / f'{name}.png'
        mask = read_mask(path)
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f'{path} must have the {image.shape[:2]} rows and columns of '
                f'its image as stored, but got {mask.shape}: check the '
                'orientation that the image notes')
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
