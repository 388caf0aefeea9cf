from pathlib import Path
from typing import Dict, List

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS


@DATASETS.register_module()
class SemanticMaskDataset(Dataset):
    """Images with a mask of classes each, resized to squares.

    Pascal VOC's layout by default: names in
    ``ROOT/ImageSets/Segmentation/SPLIT.txt``, ``ROOT/JPEGImages/NAME.jpg``
    and ``ROOT/SegmentationClass/NAME.png``. Images are resized by PIL,
    bilinear; masks by the nearest pixel.

    Args:
        root (str): The folder.
        split (str): Such as 'train'.
        num_classes (int): Background included. Defaults to VOC's 21.
        size (int): Pixels of a side. Defaults to 512.
        images, masks, lists (str): Folders in ``root``.

    Raises:
        ValueError: If the list is missing or empty, or a mask has labels that
            are no class.
    """

    def __init__(self,
                 root: str,
                 split: str,
                 num_classes: int = 21,
                 size: int = 512,
                 images: str = 'JPEGImages',
                 masks: str = 'SegmentationClass',
                 lists: str = 'ImageSets/Segmentation') -> None:
        names = Path(root) / lists / f'{split}.txt'
        if not names.is_file() or not names.read_text().split():
            raise ValueError(f'{names} is missing or empty: check root and '
                             f'split={split!r}')
        self.root, self.names = Path(root), names.read_text().split()
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
        with Image.open(self.root / self.images / f'{name}.jpg') as image:
            image = image.convert('RGB').resize(size,
                                                Image.Resampling.BILINEAR)
            pixels = np.array(image)
        path = self.root / self.masks / f'{name}.png'
        with Image.open(path) as mask:
            mask = np.array(mask.resize(size, Image.Resampling.NEAREST))
        wrong = (mask >= self.num_classes) & (mask != 255)
        if mask.ndim != 2 or wrong.any():
            raise ValueError(
                f'{path}: a mask must hold class numbers below '
                f'{self.num_classes}, or 255, but has {mask.ndim} axes and '
                f'values up to {mask.max()}')
        sample = BaseDataElement(
            metainfo=dict(sample_idx=index, mask=torch.from_numpy(mask)))
        return dict(
            inputs=torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            data_samples=sample)
