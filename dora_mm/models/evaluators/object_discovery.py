from typing import List, Optional

import numpy as np
import torch
from torch import Tensor

from dora_mm.registry import MODELS
from .attention_box import attention_box
from .lost import lost_box
from .lost_detector import LOSTDetector
from .token_cut import token_cut_box


@MODELS.register_module()
class ObjectDiscovery(LOSTDetector):
    """A box for each image by each of four protocols, from one forward.

    'attention': :func:`attention_box`, what the DoRA paper describes;
    'attention_mass': its component with most mass instead of most patches;
    'lost': :func:`lost_box`; 'tokencut': :func:`token_cut_box`. Images keep
    their size, as in :class:`LOSTDetector`, whose arguments are taken.
    """

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
            features, grid = self._features(image)
            attention, keys = features.cls_attn[0], features.key[0, 0]
            boxes = dict(
                attention=attention_box(attention, grid),
                attention_mass=attention_box(attention, grid, by_mass=True),
                lost=lost_box(keys, grid, self.num_patches),
                tokencut=token_cut_box(keys, grid))
            size = np.tile(image.shape[:0:-1], 2)
            sample.set_field(
                {
                    name:
                    np.clip(
                        np.multiply(
                            box, self.backbone.patch_size, dtype=float), 0,
                        size)
                    for name, box in boxes.items()
                },
                'pred_boxes',
                field_type='metainfo')
        return data_samples
