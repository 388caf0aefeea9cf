import json
import logging
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple, Union

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from dora_mm.utils.counted import counted
from .read_image import read_image
from .read_names import read_names, read_split

# path, boxes (G, 4), and rows and columns that the labels state, if they do
Item = Tuple[Path, np.ndarray, Optional[Tuple[int, int]]]


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
        ValueError: If there are no images, a file is missing or of another
            form, or, for an item, if labels and image do not agree in size.
    """

    def __init__(self,
                 root: str,
                 split: str = 'trainval',
                 ann_file: Optional[str] = None,
                 id_file: Optional[str] = None) -> None:
        self.root = Path(root)
        self.metainfo = dict(dataset_type='ObjectBoxDataset')
        if ann_file is None:
            items = [
                (self.root / 'JPEGImages' / f'{name}.jpg',
                 *_read_voc(self.root / 'Annotations' / f'{name}.xml'))
                for name in read_split(self.root / 'ImageSets/Main', split)
            ]
        else:
            ids = None
            if id_file is not None:
                ids = _read_ids(self.root / id_file)
            items = list(
                _read_coco(self.root / ann_file, self.root / split, ids))
        self.items: List[Item] = [item for item in items if len(item[1])]
        if not self.items:
            raise ValueError(f'{self.root} must have images with boxes, but '
                             f'of {len(items)} images none has one: check '
                             'root, split and ann_file')
        if len(self.items) < len(items):
            print_log(
                f'{self.root}: {len(items) - len(self.items)} of '
                f'{counted(len(items), "image")} left out, without a box',
                logger='current',
                level=logging.WARNING)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        """An image.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (3, h, w), RGB, as stored;
            ``data_samples`` with ``boxes``, float (G, 4), left, top, right,
            bottom, and ``img_path``.
        """
        path, boxes, size = self.items[index]
        pixels = read_image(path)
        if size not in (None, pixels.shape[:2]):
            raise ValueError(
                f'{path} must have the {size} rows and columns that its '
                f'labels state, but has {pixels.shape[:2]} as stored: check '
                'the orientation that it notes, or get the image again')
        return dict(
            inputs=torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            data_samples=BaseDataElement(
                metainfo=dict(boxes=boxes, img_path=str(path))))


def _read_voc(path: Path) -> Tuple[np.ndarray, Optional[Tuple[int, int]]]:
    """Boxes (G, 4), from VOC's that count pixels from 1, and size."""
    try:
        root = ElementTree.parse(path).getroot()
        boxes = [[
            float(item.find('bndbox').findtext(name))
            for name in ('xmin', 'ymin', 'xmax', 'ymax')
        ] for item in root.iter('object')]
        size = root.find('size')
        if size is not None:
            size = _size(size.findtext('height'), size.findtext('width'))
    except (OSError, SyntaxError, AttributeError, TypeError,
            ValueError) as error:
        raise ValueError(f"{path} must be labels in Pascal VOC's form, but: "
                         f'{error}') from error
    boxes = np.array(boxes, float).reshape(-1, 4)
    boxes[:, :2] -= 1
    return _checked(boxes, path), size


def _read_ids(path: Path) -> Set[int]:
    """Of a list of numbers, or of file names that end in them."""
    ids = set()
    for name in read_names(path):
        number = Path(name).stem.split('_')[-1]
        if not number.isdecimal():
            raise ValueError(f'id_file must list numbers, or names that end '
                             f'in them, but {path} has {name!r}: get it again')
        ids.add(int(number))
    return ids


def _read_coco(path: Path, folder: Path, ids: Optional[set]) -> Iterator[Item]:
    """The images of ``ids``, or all."""
    try:
        data = json.loads(path.read_text(encoding='utf-8-sig'))
        images = {
            image['id']: (folder / image['file_name'],
                          _size(image.get('height'), image.get('width')))
            for image in data['images']
        }
        boxes: Dict[int, List] = {}
        for item in data['annotations']:
            if not item.get('iscrowd', 0):
                left, top, width, height = map(float, item['bbox'])
                boxes.setdefault(item['image_id'], []).append(
                    [left, top, left + width, top + height])
    except (OSError, ValueError, KeyError, TypeError,
            AttributeError) as error:
        raise ValueError(f"{path} must be a JSON file in COCO's form, with "
                         f'images and annotations, but: {error!r}') from error
    if len(images) < len(data['images']):
        raise ValueError(f'{path} must have an id of its own for each image, '
                         f'but got {len(data["images"])} images of '
                         f'{len(images)} ids: get it again')
    unknown = (ids or set()) - set(images)
    if unknown:
        raise ValueError(f'id_file must list images of {path}, but '
                         f'{len(unknown)} are not there, such as '
                         f'{min(unknown)}: check ann_file and id_file')
    for number, (image, size) in images.items():
        if ids is None or number in ids:
            found = np.array(boxes.get(number, []), float).reshape(-1, 4)
            yield image, _checked(found, f'{path}, image {number}'), size


def _size(height: Union[str, int, None],
          width: Union[str, int, None]) -> Optional[Tuple[int, int]]:
    """As integers; None where one is not stated."""
    return (int(float(height)), int(float(width))) \
        if height and width else None


def _checked(boxes: np.ndarray, where: Union[str, Path]) -> np.ndarray:
    wrong = np.argwhere(~np.isfinite(boxes))
    if len(wrong):
        raise ValueError(f'{where} must have finite boxes, but box '
                         f'{wrong[0][0] + 1} is {boxes[wrong[0][0]]}: get the '
                         'labels again')
    wrong = np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(1))
    if len(wrong):
        raise ValueError(f'{where} must have boxes from left to right and '
                         f'from top to bottom, but box {wrong[0] + 1} is '
                         f'{boxes[wrong[0]]}: get the labels again')
    return boxes
