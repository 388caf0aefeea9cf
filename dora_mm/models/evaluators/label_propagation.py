# Letters: T frames, S source frames, N patches, D channels, C classes.
from collections import deque
from typing import Iterator, List, Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from dora_mm.registry import MODELS
from dora_mm.utils.check_finite import check_finite
from .propagate_labels import (decode_labels, nearest, propagate_labels,
                               window_bias)


@MODELS.register_module()
class LabelPropagation(BaseModel):
    """Segment a video from the mask of its first frame, without training.

    DINO's protocol on DAVIS: patch tokens after the final norm, the first
    frame and the last few as sources, the most similar patches in a window
    give their labels.

    Differences from DINO's code: features are normalised once instead of once
    for each use, the similarity is not raised and normalised where it does
    not count, and attention is computed fused; the masks are the same.

    Args:
        backbone (dict): :func:`load_backbone`.
        mean, std (Sequence[float]): Of the pixels, on the scale 0 to 255.
        num_context (int): Frames before the present one that are sources,
            besides the first. Defaults to 7.
        radius (int): Of the window, in patches; 0 for none. Defaults to 12.
        topk (int): Sources that count. Defaults to 5.
        temperature (float): Of the similarities. Defaults to 0.1.
        batch_frames (int): Frames that go through the backbone at a time.
            Defaults to 1.

    Raises:
        ValueError: If a number is out of range, or a feature is not finite.
    """

    def __init__(self,
                 backbone: dict,
                 mean: Sequence[float],
                 std: Sequence[float],
                 num_context: int = 7,
                 radius: int = 12,
                 topk: int = 5,
                 temperature: float = 0.1,
                 batch_frames: int = 1) -> None:
        super().__init__()
        if min(num_context, topk, batch_frames) < 1 or radius < 0:
            raise ValueError(
                'num_context, topk and batch_frames must be at least 1 and '
                f'radius at least 0, but got {num_context}, {topk}, '
                f'{batch_frames} and {radius}')
        self.backbone = MODELS.build(backbone)
        self.register_buffer('mean', torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer('std', torch.tensor(std).reshape(3, 1, 1))
        self.num_context = num_context
        self.radius = radius
        self.topk = topk
        self.temperature = temperature
        self.batch_frames = batch_frames

    def forward(self,
                inputs: List[Tensor],
                data_samples: Optional[List] = None,
                mode: str = 'predict') -> List:
        """Segment videos.

        Args:
            inputs (list[Tensor]): Videos, each uint8 (T, 3, h, w), RGB.
            data_samples (list): With ``first_mask``, uint8 (H, W).
            mode (str): 'predict'; there is no loss.

        Returns:
            list: ``data_samples`` with ``pred_masks``, a numpy array uint8
            (T, H, W).

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'predict':
            raise ValueError(f'label propagation has no mode {mode!r}, only '
                             "'predict'")
        for frames, sample in zip(inputs, data_samples):
            masks = self.segment(frames, torch.from_numpy(sample.first_mask))
            sample.set_field(
                masks.numpy(), 'pred_masks', field_type='metainfo')
        return data_samples

    @torch.no_grad()
    def segment(self, frames: Tensor, first_mask: Tensor) -> Tensor:
        """Follow the objects of the first frame.

        Args:
            frames (Tensor): uint8 (T, 3, h, w), RGB; sides that are multiples
                of the patch.
            first_mask (Tensor): uint8 (H, W), object numbers from 1.

        Returns:
            Tensor: uint8 (T, H, W), on the CPU; the first mask comes first.
        """
        patch = self.backbone.patch_size
        grid = (frames.shape[2] // patch, frames.shape[3] // patch)
        classes = int(first_mask.max()) + 1
        labels = nearest(first_mask, grid).long().flatten()
        labels = F.one_hot(labels, classes).float().to(self.mean.device)
        bias = window_bias(grid, self.radius, self.mean.device)
        features = self._features(frames)
        first = (next(features), labels)
        context, masks = deque(maxlen=self.num_context), [first_mask]
        for feature in features:
            sources = [first, *context]
            labels = propagate_labels(
                feature, torch.stack([pair[0] for pair in sources]),
                torch.stack([pair[1] for pair in sources]), bias, self.topk,
                self.temperature)
            context.append((feature, labels))
            mask = decode_labels(labels, grid, patch, first_mask.shape)
            masks.append(mask.cpu())
        return torch.stack(masks)

    def _features(self, frames: Tensor) -> Iterator[Tensor]:
        """Normalised patch tokens (N, D) of one frame after the other."""
        for number, batch in enumerate(frames.split(self.batch_frames)):
            images = (batch.to(self.mean.device).float() -
                      self.mean) / self.std
            tokens = self.backbone(images)[-1][:, 1:]
            check_finite(
                tokens, f'the features of frame {number * self.batch_frames} '
                'and those after it', 'check the weights of the backbone')
            yield from F.normalize(tokens.float(), dim=-1)
