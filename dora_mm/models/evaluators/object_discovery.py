from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from dora_mm.registry import MODELS
from ..utils.structures import TrackFeatures
from .attention_box import attention_box
from .lost import lost_box
from .token_cut import token_cut_box


@MODELS.register_module()
class ObjectDiscovery(BaseModel):
    """A box for each image by each of four protocols, from one forward.

    'attention': :func:`attention_box`, what the DoRA paper describes;
    'attention_mass': its component with most mass instead of most patches;
    'lost': :func:`lost_box`; 'tokencut': :func:`token_cut_box`. Images keep
    their size; the right and lower sides are filled up with the mean colour
    to whole patches, as in LOST's code.

    Args:
        backbone (dict): :func:`load_backbone`; a ViT.
        mean, std (Sequence[float]): Of the pixels, on the scale 0 to 255.
        num_patches (int): See :func:`lost_box`. Defaults to 100.

    Raises:
        ValueError: If the backbone is no ViT.
    """

    def __init__(self,
                 backbone: dict,
                 mean: Sequence[float],
                 std: Sequence[float],
                 num_patches: int = 100) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        if not hasattr(self.backbone, 'forward_track'):
            raise ValueError(f'backbone must be a ViT, but got {backbone}, '
                             'which has no keys: give a checkpoint or a '
                             'config')
        self.register_buffer('mean', torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer('std', torch.tensor(std).reshape(3, 1, 1))
        self.num_patches = num_patches

    @torch.no_grad()
    def forward(self,
                inputs: List[Tensor],
                data_samples: Optional[List] = None,
                mode: str = 'predict') -> List:
        """Find an object in each image, four times.

        Args:
            inputs (list[Tensor]): Images, uint8 (3, h, w), RGB.
            data_samples (list): One for each.
            mode (str): 'predict'; there is no loss.

        Returns:
            list: ``data_samples`` with ``pred_boxes``, a dict of protocol to
            float (4,), left, top, right, bottom in pixels.

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'predict':
            raise ValueError("mode must be 'predict', but got "
                             f'{mode!r}: there is nothing to train')
        for image, sample in zip(inputs, data_samples):
            sample.set_field(
                self._boxes(image), 'pred_boxes', field_type='metainfo')
        return data_samples

    def _boxes(self, image: Tensor) -> Dict[str, np.ndarray]:
        features, grid = self._features(image)
        attention, keys = features.cls_attn[0], features.key[0, 0]
        boxes = dict(
            attention=attention_box(attention, grid),
            attention_mass=attention_box(attention, grid, by_mass=True),
            lost=lost_box(keys, grid, self.num_patches),
            tokencut=token_cut_box(keys, grid))
        height, width = image.shape[1:]
        return {
            name: np.multiply(box, self.backbone.patch_size, dtype=float).clip(
                0, (width, height, width, height))
            for name, box in boxes.items()
        }

    def _features(self,
                  image: Tensor) -> Tuple[TrackFeatures, Tuple[int, int]]:
        """Keys and attention of the last layer, and the grid of patches."""
        patch = self.backbone.patch_size
        height, width = image.shape[1:]
        image = (image.to(self.mean.device).float() - self.mean) / self.std
        image = F.pad(image, (0, -width % patch, 0, -height % patch))
        grid = (image.shape[1] // patch, image.shape[2] // patch)
        return self.backbone.forward_track(image[None, None], -1), grid
