from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import Tensor

from dora_mm.registry import MODELS
from .label_propagation import LabelPropagation


@MODELS.register_module()
class BoxTracker(LabelPropagation):
    """Follow a box through a video, without training.

    The first box is propagated as a mask; in each frame the box goes round
    the largest connected piece of it, and stays where it was when there is
    none. It is no tracker to compete with: papers fine-tune one, so its
    numbers are not theirs.

    Its arguments are those of :class:`LabelPropagation`.
    """

    def forward(self,
                inputs: List[Tensor],
                data_samples: Optional[List] = None,
                mode: str = 'predict') -> List:
        """Track videos.

        Args:
            inputs (list[Tensor]): Videos, each uint8 (T, 3, h, w), RGB.
            data_samples (list): With ``boxes``, (1 or more, 4), left, top,
                right, bottom, of which the first is used, and ``ori_shape``.
            mode (str): 'predict'; there is no loss.

        Returns:
            list: ``data_samples`` with ``pred_boxes``, float (T, 4).

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'predict':
            raise ValueError(f"a tracker has no mode {mode!r}, only 'predict'")
        for frames, sample in zip(inputs, data_samples):
            first = box_mask(sample.boxes[0], sample.ori_shape)
            masks = self.segment(frames, torch.from_numpy(first)).numpy()
            boxes = [sample.boxes[0]]
            for mask in masks[1:]:
                boxes.append(mask_box(mask, boxes[-1]))
            sample.set_field(
                np.array(boxes, float), 'pred_boxes', field_type='metainfo')
        return data_samples


def box_mask(box: Sequence[float], size: Tuple[int, int]) -> np.ndarray:
    """A mask that is 1 inside a box.

    Args:
        box (Sequence[float]): Left, top, right, bottom.
        size (tuple[int, int]): Height and width.

    Returns:
        np.ndarray: uint8, ``size``; at least one pixel is 1.
    """
    left, top, right, bottom = np.round(box).astype(int)
    left, top = min(max(left, 0), size[1] - 1), min(max(top, 0), size[0] - 1)
    mask = np.zeros(size, np.uint8)
    mask[top:max(bottom, top + 1), left:max(right, left + 1)] = 1
    return mask


def mask_box(mask: np.ndarray, otherwise: Sequence[float]) -> np.ndarray:
    """The box round the largest connected piece of a mask.

    Args:
        mask (np.ndarray): uint8 (H, W).
        otherwise (Sequence[float]): What to return for an empty mask.

    Returns:
        np.ndarray: Left, top, right, bottom.
    """
    number, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    if number < 2:
        return np.asarray(otherwise, float)
    largest = 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    left, top, width, height = stats[largest, :4]
    return np.array((left, top, left + width, top + height), float)
