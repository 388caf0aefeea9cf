import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from PIL import Image
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS


@DATASETS.register_module()
class ObjectBoxDataset(Dataset):
    """Images with the boxes of their objects, of any class.

    Without ``ann_file`` Pascal VOC's layout: names in
    ``ROOT/ImageSets/Main/SPLIT.txt``, ``ROOT/JPEGImages/NAME.jpg`` and
    ``ROOT/Annotations/NAME.xml``, difficult objects included as in LOST. With
    ``ann_file`` COCO's: its images lie in ``ROOT/SPLIT``; boxes of crowds are
    left out. Images without a box are left out.

    Args:
        root (str): The folder.
        split (str): Defaults to 'trainval'.
        ann_file (str, optional): COCO's JSON file, in ``root``.
        id_file (str, optional): File in ``root`` with the numbers of the
            images to take, such as the list of COCO20k.

    Raises:
        ValueError: If there are no images.
    """

    def __init__(self,
                 root: str,
                 split: str = 'trainval',
                 ann_file: Optional[str] = None,
                 id_file: Optional[str] = None) -> None:
        self.root = Path(root)
        self.metainfo = dict(dataset_type='ObjectBoxDataset')
        needed = self.root / (ann_file or f'ImageSets/Main/{split}.txt')
        if not needed.is_file():
            raise ValueError(f'{needed} is not a file: check root, '
                             f'split={split!r} and ann_file')
        if ann_file is None:
            items = [(self.root / 'JPEGImages' / f'{name}.jpg',
                      _voc_boxes(self.root / 'Annotations' / f'{name}.xml'))
                     for name in needed.read_text().split()]
        else:
            items = self._coco(needed, split, id_file)
        self.items: List[Tuple[Path, np.ndarray]] = [
            item for item in items if len(item[1])
        ]
        if not self.items:
            raise ValueError(f'no images with boxes in {self.root}')

    def _coco(self, path, split, id_file):
        data = json.loads(path.read_text())
        wanted = None
        if id_file is not None:
            numbers = (self.root / id_file).read_text().split()
            # a list of numbers, or of file names that end in them
            wanted = {int(Path(n).stem.split('_')[-1]) for n in numbers}
        boxes = {}
        for item in data['annotations']:
            if not item.get('iscrowd', 0):
                boxes.setdefault(item['image_id'], []).append(item['bbox'])
        for image in data['images']:
            number = image['id']
            if number in boxes and (wanted is None or number in wanted):
                found = np.array(boxes[number], float)
                found[:, 2:] += found[:, :2]
                yield self.root / split / image['file_name'], found

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        """An image.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (3, h, w), RGB; ``data_samples`` with
            ``boxes``, float (G, 4), left, top, right, bottom.
        """
        path, boxes = self.items[index]
        with Image.open(path) as image:
            pixels = np.array(image.convert('RGB'))
        return dict(
            inputs=torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            data_samples=BaseDataElement(metainfo=dict(boxes=boxes)))


def _voc_boxes(path):
    """Boxes (G, 4); VOC counts pixels from 1."""
    boxes = []
    for item in ElementTree.parse(path).getroot().iter('object'):
        box = item.find('bndbox')
        left, top, right, bottom = (
            float(box.findtext(name))
            for name in ('xmin', 'ymin', 'xmax', 'ymax'))
        boxes.append((left - 1, top - 1, right, bottom))
    return np.array(boxes, float).reshape(-1, 4)
