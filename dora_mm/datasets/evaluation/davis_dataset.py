import logging
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from dora_mm.utils.counted import counted
from .read_image import image_files, is_hidden, read_image
from .read_mask import VOID, mask_palette, read_mask
from .read_names import read_split


class MaskFiles(Sequence):
    """The masks of a video, read one at a time.

    Any form that :func:`read_mask` knows; the colours of the first mask are
    the palette of all. 255 is void, except in a video in black and white,
    where it is the object.

    Args:
        paths (list[Path]): A PNG for each frame.
        size (tuple[int, int]): Rows and columns of the frames.
        binary (bool): Whether all objects are one.

    Raises:
        ValueError: If the first mask has no object, or objects are to be told
            apart and it has them all in white.
    """

    def __init__(self, paths: List[Path], size: Tuple[int, int],
                 binary: bool) -> None:
        self.paths, self.size, self.binary = paths, size, binary
        self.palette = mask_palette(paths[0])
        numbers = set(np.unique(read_mask(paths[0], self.palette)).tolist())
        self.white = VOID in numbers and numbers <= {0, VOID}
        if not numbers - {0, VOID} and not self.white:
            raise ValueError(f'{paths[0]} must have an object to follow, but '
                             'is empty: check the masks of the video')
        if self.white and not binary:
            raise ValueError(f'{paths[0]} must have a number for each object, '
                             'but is black and white: masks of one object '
                             'need year=2016')

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> np.ndarray:
        """Mask of a frame, uint8 (H, W): objects from 1, 255 for void."""
        mask = read_mask(self.paths[number], self.palette)
        if mask.shape != self.size:
            raise ValueError(
                f'{self.paths[number]} must have the {self.size} rows and '
                f'columns of its frames as stored, but got {mask.shape}: '
                'check the orientation that the frames note, or get '
                'the masks of this resolution')
        if self.binary:
            void = (mask == VOID) & (not self.white)
            mask = np.where(void, VOID, mask > 0).astype(np.uint8)
        return mask


@DATASETS.register_module()
class DAVISDataset(Dataset):
    """Videos of DAVIS with the masks of their objects; an item is a video.

    ``ROOT/JPEGImages/480p/VIDEO/*.jpg`` and
    ``ROOT/Annotations/480p/VIDEO/*.png``, a mask for each frame or, as in a
    test split, for the first alone. Frames are resized as in DINO's protocol,
    see :func:`read_frames`. Hidden files and folders are skipped.

    Args:
        root (str): The folder.
        year (int): 2017 takes the objects apart, 2016 as one.
        split (str, optional): The videos are those of
            ``ROOT/ImageSets/YEAR/SPLIT.txt``. Defaults to None: 'val', and
            where there is no such list all videos.
        short_side (int): Pixels. Defaults to 480.

    Raises:
        ValueError: If there is nothing there or no such split, or, for an
            item, if a video is incomplete.
    """

    def __init__(self,
                 root: str,
                 year: int = 2017,
                 split: Optional[str] = None,
                 short_side: int = 480) -> None:
        if year not in (2016, 2017):
            raise ValueError(f'year must be 2016 or 2017, but got {year}: the '
                             'two ways to take the objects')
        self.root, self.year = Path(root), year
        self.short_side = short_side
        self.metainfo = dict(dataset_type=f'DAVIS-{year}')
        lists = self.root / 'ImageSets' / str(year)
        if split is not None or (lists / 'val.txt').is_file():
            self.videos = read_split(lists, split or 'val')
            return
        self.videos = sorted(
            path.name for path in (self.root / 'Annotations/480p').glob('*')
            if path.is_dir() and not is_hidden(path.name))
        if not self.videos:
            raise ValueError(f'no videos in {self.root}/Annotations/480p: '
                             'check root, the folder that holds JPEGImages '
                             'and Annotations')
        print_log(
            f'{lists} has no val.txt, so that all videos are taken: '
            f'{len(self.videos)}',
            logger='current',
            level=logging.WARNING)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        """A video.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (T, 3, h, w), RGB, resized;
            ``data_samples`` with ``name``, ``frame_names``, ``first_mask``,
            uint8 (H, W), objects from 1, and ``true_masks``, see
            :class:`MaskFiles`, of T frames or of the first.
        """
        name = self.videos[index]
        frames = image_files(self.root / 'JPEGImages/480p' / name)
        masks = image_files(self.root / 'Annotations/480p' / name)
        stems = [[path.stem for path in paths] for paths in (frames, masks)]
        if len(frames) < 3 or stems[1] not in (stems[0], stems[0][:1]):
            alone = sorted(set(stems[0]) ^ set(stems[1]))
            raise ValueError(
                f'{self.root}: video {name} must have at least three frames, '
                'each or the first alone with a mask, but got '
                f'{counted(len(frames), "frame")} and '
                f'{counted(len(masks), "mask")}, and '
                f'{counted(len(alone), "name")} that only one of them has '
                f'{alone[:3]}: get it again')
        inputs, size = read_frames(frames, self.short_side)
        masks = MaskFiles(masks, size, self.year == 2016)
        first = masks[0]
        first[first == VOID] = 0
        sample = BaseDataElement(
            metainfo=dict(
                name=name,
                frame_names=stems[0],
                first_mask=first,
                true_masks=masks))
        return dict(inputs=inputs, data_samples=sample)


def protocol_size(size: Tuple[int, int],
                  short_side: int = 480,
                  long_side: Optional[int] = None) -> Tuple[int, int]:
    """The size that a protocol resizes a frame to.

    DINO's states the short side and rounds the long one down to a multiple of
    64; CropMAE's on VIP states the long side and rounds the short one.

    Args:
        size (tuple[int, int]): Height and width.
        short_side (int): Pixels. Defaults to 480.
        long_side (int, optional): Pixels, in place of the short side.

    Returns:
        tuple[int, int]: Height and width.
    """
    short, long = sorted(size)
    if long_side is None:
        sides = short_side, int(short_side * long / short // 64 * 64)
    else:
        sides = int(long_side * short / long) // 64 * 64, long_side
    return sides[::-1] if size[0] > size[1] else sides


def read_frames(
        paths: Sequence[Path],
        short_side: int = 480,
        long_side: Optional[int] = None) -> Tuple[Tensor, Tuple[int, int]]:
    """The frames of a video, resized by OpenCV, bilinear.

    Args:
        paths (Sequence[Path]): One image or more, all of one size.
        short_side, long_side (int): See :func:`protocol_size`.

    Returns:
        tuple[Tensor, tuple[int, int]]: uint8 (T, 3, h, w), RGB, and the
        height and width of the files.

    Raises:
        ValueError: If a frame cannot be decoded or has another size.
    """
    frames, size = [], None
    for path in paths:
        image = read_image(path)
        size = size or image.shape[:2]
        if image.shape[:2] != size:
            raise ValueError(
                f'{path} must have the {size} rows and columns of the first '
                f'frame, but got {image.shape[:2]}: check the video')
        image = cv2.resize(
            image,
            protocol_size(size, short_side, long_side)[::-1])
        frames.append(torch.from_numpy(image).permute(2, 0, 1))
    return torch.stack(frames), size
