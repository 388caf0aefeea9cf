# Letters: T frames, S source frames, N patches, D channels, C classes.
from collections import deque
from typing import Iterator, List, Optional, Sequence, Tuple

import cv2
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from dora_mm.registry import MODELS
from dora_mm.utils.check_finite import check_finite
from dora_mm.utils.check_temperature import check_temperature
from ..utils.setting_checks import check_integer
from .propagate_labels import (decode_labels, nearest, propagate_labels,
                               window_bias)


@MODELS.register_module()
class LabelPropagation(BaseModel):
    """Segment a video from the mask of its first frame, without training.

    DINO's protocol on DAVIS: patch tokens after the final norm, the first
    frame and the last few as sources, the most similar patches in a window
    give their labels.

    That of videowalk and CropMAE differs in the window, a disk, which is not
    for the first frame; in the sources of the first few frames, where the
    first one stands for those that are missing; in the labels of the patches
    of the first frame, which are shares of the classes; and in that scores
    are not stretched and the largest ``topk`` are exactly as many.

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
        batch_frames (int, optional): Frames that go through the backbone at a
            time. Defaults to None: 1 on a CPU, else 16, as launching the
            kernels of one frame takes longer than computing it.
        dtype (str): In which the backbone works: 'float32', or 'bfloat16' or
            'float16' by autocast. Similarities and labels are float32.
            Defaults to 'float32'.
        protocol (str): 'dino' or 'videowalk'. Defaults to 'dino'.

    Raises:
        ValueError: If a setting is out of range, or a feature is not finite.
    """

    def __init__(self,
                 backbone: dict,
                 mean: Sequence[float],
                 std: Sequence[float],
                 num_context: int = 7,
                 radius: int = 12,
                 topk: int = 5,
                 temperature: float = 0.1,
                 batch_frames: Optional[int] = None,
                 dtype: str = 'float32',
                 protocol: str = 'dino') -> None:
        super().__init__()
        check_integer('num_context', num_context, 1)
        check_integer('radius', radius, 0)
        check_integer('topk', topk, 1)
        check_temperature('temperature', temperature, 0.1)
        if batch_frames is not None:
            check_integer('batch_frames', batch_frames, 1)
        if dtype not in ('float32', 'bfloat16', 'float16'):
            raise ValueError('dtype must be float32, bfloat16 or float16, but '
                             f'got {dtype!r}: take float32 on a CPU')
        if protocol not in ('dino', 'videowalk'):
            raise ValueError('protocol must be dino or videowalk, but got '
                             f'{protocol!r}: take dino for DAVIS')
        self.backbone = MODELS.build(backbone)
        self.register_buffer('mean', torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer('std', torch.tensor(std).reshape(3, 1, 1))
        self.num_context = num_context
        self.radius = radius
        self.topk = topk
        self.temperature = temperature
        self.batch_frames = batch_frames
        self.dtype = getattr(torch, dtype)
        self.videowalk = protocol == 'videowalk'

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
            Tensor: uint8 (T, H, W), on the CPU; the first mask comes first,
            in videowalk's protocol as its patches show it.
        """
        grid = self.grid(frames)
        labels = self._read_mask(first_mask, frames.shape[2:], grid)
        labels = labels.to(self.mean.device)
        masks = [first_mask.to(self.mean.device)]
        if self.videowalk:
            masks[0] = self._decode(labels, grid, first_mask)
        for found in self.carry(frames, labels):
            masks.append(self._decode(found, grid, first_mask))
        # One copy: the host waits for each.
        return torch.stack(masks).cpu()

    def grid(self, frames: Tensor) -> Tuple[int, int]:
        """Rows and columns of patches of ``frames``, (T, 3, h, w)."""
        patch = self.backbone.patch_size
        return frames.shape[2] // patch, frames.shape[3] // patch

    def carry(self, frames: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Carry labels from the first frame to the others.

        Args:
            frames (Tensor): uint8 (T, 3, h, w), RGB.
            labels (Tensor): (N, C), of the patches of the first frame.

        Yields:
            Tensor: (N, C), of the second frame and those after it.
        """
        labels = labels.to(self.mean.device)
        bias = window_bias(
            self.grid(frames), self.radius, labels.device, self.videowalk)
        features = self._features(frames)
        first = (next(features), labels)
        # videowalk fills the context with the first frame
        context = deque([first] * self.num_context * self.videowalk,
                        self.num_context)
        for feature in features:
            sources = [first, *context]
            labels = propagate_labels(
                feature,
                torch.stack([pair[0] for pair in sources]),
                torch.stack([pair[1] for pair in sources]),
                bias,
                self.topk,
                self.temperature,
                free=int(self.videowalk),
                ties=not self.videowalk)
            context.append((feature, labels))
            yield labels

    def _read_mask(self, mask: Tensor, size: Sequence[int],
                   grid: Tuple[int, int]) -> Tensor:
        """Shares of the classes, (N, C), of the patches of a mask."""
        classes = int(mask.max()) + 1
        if not self.videowalk:
            labels = nearest(mask, grid).long().flatten()
            return F.one_hot(labels, classes).float()
        # to the size of the frames, then the classes apart
        mask = cv2.resize(
            mask.numpy(), tuple(size)[::-1], interpolation=cv2.INTER_NEAREST)
        planes = F.one_hot(torch.from_numpy(mask).long(), classes)
        planes = F.interpolate(
            planes.permute(2, 0, 1)[None].float(), grid, mode='bilinear')
        return planes[0].flatten(1).T

    def _decode(self, labels: Tensor, grid: Tuple[int, int],
                mask: Tensor) -> Tensor:
        return decode_labels(
            labels,
            grid,
            self.backbone.patch_size,
            mask.shape,
            stretch=not self.videowalk)

    def _features(self, frames: Tensor) -> Iterator[Tensor]:
        """Normalised patch tokens (N, D) of one frame after the other."""
        on_cpu = self.mean.device.type == 'cpu'
        size = self.batch_frames or (1 if on_cpu else 16)
        for number, batch in enumerate(frames.split(size)):
            images = (batch.to(self.mean.device).float() -
                      self.mean) / self.std
            with torch.autocast(
                    images.device.type,
                    self.dtype,
                    enabled=self.dtype != torch.float32):
                tokens = self.backbone(images)[-1][:, 1:]
            check_finite(
                tokens, f'the features of frame {number * size} '
                'and those after it', 'check the weights of the backbone')
            yield from F.normalize(tokens.float(), dim=-1)
