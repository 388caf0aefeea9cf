from pathlib import Path
from typing import List

import numpy as np
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from .davis_dataset import read_frames
from .read_image import check_numbers, image_files, is_hidden
from .read_names import read_names


@DATASETS.register_module()
class GOT10kDataset(Dataset):
    """Videos of GOT-10k with the box of an object; an item is a video.

    ``ROOT/SPLIT/VIDEO/*.jpg``, ``groundtruth.txt`` with left, top, width and
    height of each frame (of the test split only of the first one) and
    ``cover.label``, 0 where nothing of the object can be seen; in its absence
    ``absence.label``, 1 there. The videos are those of ``ROOT/SPLIT/list.txt``
    or, without it, all there are. Frames are resized as in DINO's protocol,
    see :func:`read_frames`.

    Args:
        root (str): The folder.
        split (str): Defaults to 'val'.
        short_side (int): Pixels. Defaults to 480.

    Raises:
        ValueError: If there are no videos or, for an item, if its files do
            not belong together.
    """

    def __init__(self,
                 root: str,
                 split: str = 'val',
                 short_side: int = 480) -> None:
        self.short_side = short_side
        self.metainfo = dict(dataset_type='GOT-10k')
        folder = Path(root) / split
        if (folder / 'list.txt').is_file():
            self.videos = [
                folder / name for name in read_names(folder / 'list.txt')
            ]
        else:
            self.videos = _videos(folder)
        if not self.videos:
            there = sorted(
                path.name for path in Path(root).glob('*')
                if _videos(path) and not is_hidden(path.name))
            raise ValueError(
                f'split must be one of {there}, but got {split!r}, and there '
                f'is no {split}/VIDEO/groundtruth.txt in {root}: check root '
                'and split')

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
        paths = image_files(folder)
        if not paths:
            raise ValueError(f'{folder} must hold frames, but has no image: '
                             'get the video again')
        boxes = _read_numbers(folder / 'groundtruth.txt', 4)
        if len(boxes) not in (1, len(paths)):
            raise ValueError(
                f'{folder}/groundtruth.txt must have a box for each of '
                f'{len(paths)} frames, or for the first alone, but got '
                f'{len(boxes)}: get the video again')
        if len(boxes) == 1:  # which does not say how many frames there are
            check_numbers(paths)
        boxes[:, 2:] += boxes[:, :2]
        inputs, size = read_frames(paths, self.short_side)
        sample = BaseDataElement(
            metainfo=dict(
                name=folder.name,
                ori_shape=size,
                boxes=boxes,
                visible=_visible(folder, len(boxes))))
        return dict(inputs=inputs, data_samples=sample)


def _videos(folder: Path) -> List[Path]:
    return sorted(
        path.parent for path in folder.glob('*/groundtruth.txt')
        if not is_hidden(path.parent.name))


def _visible(folder: Path, num_boxes: int) -> np.ndarray:
    """Where something of the object can be seen, bool (num_boxes,)."""
    path = folder / 'cover.label'
    absence = not path.is_file()
    if absence:
        path = folder / 'absence.label'
        if not path.is_file():
            return np.ones(num_boxes, bool)
    values = _read_numbers(path, 1)[:, 0]
    if len(values) < num_boxes:
        raise ValueError(
            f'{path} must have a number for each of {num_boxes} boxes, but '
            f'got {len(values)}: get the video again')
    values = values[:num_boxes]  # a test split has one box and all of these
    return values == 0 if absence else values > 0


def _read_numbers(path: Path, columns: int) -> np.ndarray:
    """Finite numbers (rows, columns), apart by commas or blanks."""
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
        rows = [line.replace(',', ' ').split() for line in lines]
        numbers = np.array([row for row in rows if row], float)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} must have {columns} numbers a line, but: '
                         f'{error}') from error
    if numbers.ndim != 2 or numbers.shape[1] != columns:
        raise ValueError(f'{path} must have {columns} numbers a line, but got '
                         f'the shape {numbers.shape}: get the video again')
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        raise ValueError(f'{path} must have finite numbers, but row '
                         f'{wrong[0][0] + 1} has {numbers[tuple(wrong[0])]}: '
                         'get the video again')
    return numbers
