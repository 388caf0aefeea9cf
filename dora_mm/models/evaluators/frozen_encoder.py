# Letters: B images, D channels.
from typing import List, Optional, Union

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from dora_mm.registry import MODELS


@MODELS.register_module()
class FrozenEncoder(BaseModel):
    """Images to the [CLS] token of a frozen backbone.

    Args:
        backbone (dict | nn.Module): :func:`load_backbone`, or a backbone that
            is there already.
        data_preprocessor (dict): mmengine's ``ImgDataPreprocessor`` with mean
            and std.
    """

    def __init__(self, backbone: Union[dict, nn.Module],
                 data_preprocessor: dict) -> None:
        super().__init__(data_preprocessor)
        if isinstance(backbone, dict):
            backbone = MODELS.build(backbone)
        self.backbone = backbone

    def forward(self,
                inputs: Tensor,
                data_samples: Optional[List] = None,
                mode: str = 'tensor') -> Tensor:
        """[CLS] after the final norm.

        Args:
            inputs (Tensor): (B, 3, h, w), normalised.
            data_samples (list, optional): Not used.
            mode (str): 'tensor'; there is no loss.

        Returns:
            Tensor: (B, D).

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'tensor':
            raise ValueError(f'a frozen encoder has no mode {mode!r}, only '
                             "'tensor'")
        out = self.backbone(inputs)[-1]
        return out[:, 0] if out.ndim == 3 else out

    @torch.no_grad()
    def encode(self, batch: dict) -> Tensor:
        """A batch of a data loader to features.

        Args:
            batch (dict): ``inputs``, B images, uint8 (B, 3, h, w), RGB.

        Returns:
            Tensor: (B, D), float32.

        Raises:
            ValueError: If a feature is not finite.
        """
        inputs = self.data_preprocessor(batch)['inputs']
        features = self(inputs).float()
        finite = features.isfinite().flatten(1).all(1)
        if not finite.all():
            sample = batch['data_samples'][int(finite.int().argmin())]
            raise ValueError(
                'features must be finite, but got NaN or infinity for image '
                f'{sample.get("img_path", sample.get("sample_idx"))}: check '
                'the weights of the backbone')
        return features
