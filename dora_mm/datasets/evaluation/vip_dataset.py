from pathlib import Path

import numpy as np
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from dora_mm.registry import DATASETS
from .davis_dataset import read_frames
from .read_image import image_files
from .read_mask import read_mask
from .read_names import read_split

NUM_CLASSES = 20  # parts of a person, and the background


@DATASETS.register_module()
class VIPDataset(Dataset):
    """Videos of people with masks of 20 parts (VIP); an item is a video.

    ``ROOT/Images/VIDEO/*.jpg``, a mask for each frame in
    ``ROOT/Annotations/Category_ids/VIDEO/*.png``, and the names of the videos
    in ``ROOT/lists/SPLIT_videos.txt``.

    Args:
        root (str): The folder, VIP_Fine.
        split (str): Defaults to 'val'.
        long_side (int): Pixels of a frame; the short side follows, rounded
            down to a multiple of 64, as in CropMAE's protocol. Defaults to
            880.

    Raises:
        ValueError: If there is no such split or, for an item, if frames and
            masks do not go together, or a label is no part.
    """

    def __init__(self,
                 root: str,
                 split: str = 'val',
                 long_side: int = 880) -> None:
        self.root, self.long_side = Path(root), long_side
        self.videos = read_split(self.root / 'lists', split, '_videos.txt')
        self.metainfo = dict(dataset_type='VIP')

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> dict:
        """A video.

        Args:
            index (int): Its number.

        Returns:
            dict: ``inputs``, uint8 (T, 3, h, w), RGB, resized;
            ``data_samples`` with ``name``, ``first_mask``, uint8 (H, W), and
            ``true_masks``, uint8 (T, H, W), numbers of parts, and
            ``num_classes``.
        """
        name = self.videos[index]
        frames = image_files(self.root / 'Images' / name)
        masks = image_files(self.root / 'Annotations/Category_ids' / name)
        if not frames or [p.stem for p in frames] != [p.stem for p in masks]:
            raise ValueError(
                f'{self.root}: video {name} must have a mask for each frame, '
                f'but got {len(frames)} frames and {len(masks)} masks: get it '
                'again')
        inputs, size = read_frames(frames, long_side=self.long_side)
        sample = BaseDataElement(
            metainfo=dict(
                name=name,
                true_masks=np.stack([_parts(path, size) for path in masks]),
                num_classes=NUM_CLASSES))
        sample.set_field(
            sample.true_masks[0], 'first_mask', field_type='metainfo')
        return dict(inputs=inputs, data_samples=sample)


def _parts(path: Path, size: tuple) -> np.ndarray:
    mask = read_mask(path, below=NUM_CLASSES)
    if mask.shape != size or mask.max() >= NUM_CLASSES:
        raise ValueError(
            f'{path} must have the {size} rows and columns of its frame and '
            f'labels below {NUM_CLASSES}, but got {mask.shape} and '
            f'{mask.max()}: get it again')
    return mask
