"""Checks of what the dataloader hands to the model."""
from typing import List, Optional

import numpy as np
import torch
from torch import Tensor


def check_clips(clips: Tensor, device: torch.device) -> None:
    """Refuse what is not a batch of uint8 clips.

    Args:
        clips (Tensor): Should be uint8 (B, T, 3, H, W).
        device (torch.device): Where they are going to be.

    Raises:
        TypeError: If ``clips`` is not a uint8 tensor.
        ValueError: If its shape is another, or if it would have to be copied
            from a device to the CPU.
    """
    if not isinstance(clips, Tensor) or clips.dtype != torch.uint8:
        received = getattr(clips, 'dtype', type(clips).__name__)
        raise TypeError(
            f'inputs must be one uint8 tensor, but got {received}: pack uint8 '
            "clips and set collate_fn=dict(type='default_collate') in the "
            'dataloader')
    if clips.ndim != 5 or clips.shape[2] != 3:
        raise ValueError('inputs must have the shape (clips, frames, 3, '
                         f'height, width), but got {tuple(clips.shape)}')
    if device.type == 'cpu' and clips.device.type != 'cpu':
        # A copy that is not waited for would be read before it is there.
        raise ValueError('inputs must be on the CPU like the model, but got '
                         f'them on {clips.device}: move the model there, or '
                         'leave the clips on the CPU')


def clip_seeds(samples: Optional[list], num_clips: int) -> List[int]:
    """The seed of every clip.

    Args:
        samples (list, optional): Data samples with an integer ``seed`` in
            [0, 2**64). None draws the seeds from torch's global generator.
        num_clips (int): B.

    Returns:
        List[int]: B seeds.

    Raises:
        ValueError: If there are not B samples or a seed does not fit.
    """
    if samples is None:
        return torch.randint(2**63 - 1, (num_clips, )).tolist()
    if len(samples) != num_clips:
        raise ValueError(f'data_samples must be one for each of {num_clips} '
                         f'clips, but got {len(samples)}')
    seeds = [getattr(sample, 'seed', None) for sample in samples]
    for i, seed in enumerate(seeds):
        if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
            raise ValueError(
                f'data_samples[{i}].seed must be an integer in [0, 2**64), '
                f'but got {seed!r}: let the pipeline end with PackClipInputs, '
                'or pass no data samples')
    return seeds
