from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from .davis_dataset import protocol_size


@DATASETS.register_module()
class GOT10kDataset(Dataset):
    """Videos of GOT-10k with the box of an object; an item is a video.

    ``ROOT/SPLIT/VIDEO/*.jpg``, ``groundtruth.txt`` with left, top, width and
    height of each frame (of the test split only of the first one) and
    ``cover.label``, 0 where nothing of the object can be seen. Frames are
    resized as for DAVIS.

    Args:
        root (str): The folder.
        split (str): Defaults to 'val'.
        short_side (int): Pixels. Defaults to 480.

    Raises:
        ValueError: If there are no videos.
    """

    def __init__(self,
                 root: str,
                 split: str = 'val',
                 short_side: int = 480) -> None:
        self.short_side = short_side
        self.metainfo = dict(dataset_type='GOT-10k')
        self.videos = sorted(
            path.parent
            for path in (Path(root) / split).glob('*/groundtruth.txt'))
        if not self.videos:
            raise ValueError(f'no {split}/VIDEO/groundtruth.txt in {root}: '
                             'check root, the folder that holds the splits')

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        """A video.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (T, 3, h, w), RGB, resized;
            ``data_samples`` with ``name``, ``ori_shape``, ``boxes``, float
            (T or 1, 4), left, top, right, bottom, and ``visible``, bool.
        """
        folder = self.videos[index]
        frames, size = [], None
        for path in sorted(folder.glob('*.jpg')):
            image = cv2.imread(str(path))
            if image is None:
                raise ValueError(f'{path} cannot be decoded')
            size = image.shape[:2]
            image = cv2.resize(image,
                               protocol_size(size, self.short_side)[::-1])
            frames.append(image[..., ::-1].transpose(2, 0, 1))
        if not frames:
            raise ValueError(f'{folder} holds no *.jpg')
        boxes = np.loadtxt(folder / 'groundtruth.txt', delimiter=',', ndmin=2)
        boxes[:, 2:] += boxes[:, :2]
        visible = np.ones(len(boxes), bool)
        if (folder / 'cover.label').is_file():
            visible = np.loadtxt(folder / 'cover.label', ndmin=1) > 0
        sample = BaseDataElement(
            metainfo=dict(
                name=folder.name,
                ori_shape=size,
                boxes=boxes,
                visible=visible[:len(boxes)]))
        return dict(
            inputs=torch.from_numpy(np.stack(frames)), data_samples=sample)
