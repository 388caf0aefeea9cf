import io
from pathlib import Path
from typing import List

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from dora_mm.utils.need_package import need_package
from .read_image import (check_numbers, image_files, is_hidden, read_bytes,
                         read_image)
from .read_names import read_names

NUM_JOINTS = 15


@DATASETS.register_module()
class JHMDBDataset(Dataset):
    """Videos of people with the places of 15 joints (JHMDB).

    ``ROOT/Rename_Images/ACTION/VIDEO/*.png``,
    ``ROOT/joint_positions/ACTION/VIDEO/joint_positions.mat`` and
    ``ROOT/splits/ACTION_test_splitN.txt``, whose lines are a video and 1 for
    training or 2 for testing; the videos are those for testing.

    Args:
        root (str): The folder.
        split (int): N. Defaults to 1.
        size (int): Pixels of a side, to which frames are resized by OpenCV,
            bilinear, whatever their shape, as in CropMAE's protocol. Defaults
            to 320.

    Raises:
        ValueError: If there is no such split or, for an item, if frames and
            joints do not go together.
    """

    def __init__(self, root: str, split: int = 1, size: int = 320) -> None:
        self.root, self.size = Path(root), size
        ending = f'_test_split{split}.txt'
        lists = [
            path for path in sorted((self.root / 'splits').glob(f'*{ending}'))
            if not is_hidden(path.name)
        ]
        if not lists:
            raise ValueError(
                f'split must have lists {self.root}/splits/*{ending}, but got '
                f'{split} and none: check root and split')
        self.videos: List[str] = [
            f'{path.name[:-len(ending)]}/{name}' for path in lists
            for name in _names_for_testing(path)
        ]
        if not self.videos:
            raise ValueError(
                f'{self.root}/splits/*{ending} must have videos for testing, '
                'with a 2, but got none: get the lists again')
        self.metainfo = dict(dataset_type='JHMDB')

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        """A video.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (T, 3, size, size), RGB; ``data_samples``
            with ``name``, ``ori_shape``, height and width, and ``points``,
            float (T, 15, 2), x and y in pixels of the files, from 0.
        """
        name = self.videos[index]
        paths = image_files(self.root / 'Rename_Images' / name)
        points = _read_points(self.root / 'joint_positions' / name)
        # some videos have frames after the last one with joints
        check_numbers(paths)
        if not 1 < len(points) <= len(paths):
            raise ValueError(
                f'{self.root}: video {name} must have a frame for each set of '
                f'joints, but got {len(paths)} frames and {len(points)} sets: '
                'get it again')
        images = [read_image(path) for path in paths[:len(points)]]
        sizes = sorted({image.shape[:2] for image in images})
        if len(sizes) > 1:
            raise ValueError(
                f'{self.root}: video {name} must have frames of one size, but '
                f'got {sizes[0]} and {sizes[1]} rows and columns: get it '
                'again')
        frames = [cv2.resize(image, (self.size, ) * 2) for image in images]
        sample = BaseDataElement(
            metainfo=dict(
                name=name, ori_shape=images[0].shape[:2], points=points))
        return dict(
            inputs=torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2),
            data_samples=sample)


def _names_for_testing(path: Path) -> List[str]:
    names = []
    for line in read_names(path):
        parts = line.split()
        if len(parts) != 2 or parts[1] not in ('0', '1', '2'):
            raise ValueError(f'{path} must have a video and 0, 1 or 2 a line, '
                             f'but got {line!r}: get it again')
        if parts[1] == '2':
            names.append(Path(parts[0]).stem)
    return names


def _read_points(folder: Path) -> np.ndarray:
    """Joints (T, J, 2), pixels from 0; MATLAB counts from 1."""
    need_package('scipy', 'JHMDB', '"dora-mm[eval]"')
    from scipy.io import loadmat
    path = folder / 'joint_positions.mat'
    data = read_bytes(path)
    try:
        points = np.asarray(loadmat(io.BytesIO(data))['pos_img'], float)
    # a broken file leads scipy to errors of many kinds
    except Exception as error:
        raise ValueError(f'{path} must hold joints, pos_img, but: {error!r}: '
                         'get it again') from error
    if points.ndim != 3 or points.shape[:2] != (2, NUM_JOINTS) \
            or not np.isfinite(points).all():
        raise ValueError(f'{path} must have finite joints of the shape (2, '
                         f'{NUM_JOINTS}, frames), but got {points.shape}: get '
                         'it again')
    return points.transpose(2, 1, 0) - 1
