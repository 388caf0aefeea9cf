# Letters: B images, D channels.
from typing import Dict, List, Optional, Union

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
        return self._check(self(inputs).float(), batch)

    @torch.no_grad()
    def encode_both(self, batch: dict) -> Dict[str, Tensor]:
        """A batch of a data loader to [CLS] and the mean of the patches.

        Args:
            batch (dict): ``inputs``, B images, uint8 (B, 3, h, w), RGB.

        Returns:
            dict[str, Tensor]: ``cls`` and ``patch``, each (B, D), float32;
            after the final norm.

        Raises:
            ValueError: If a feature is not finite.
        """
        inputs = self.data_preprocessor(batch)['inputs']
        if getattr(self.backbone, 'out_type', 'raw') == 'raw':
            tokens = self.backbone(inputs)[-1]
            found = tokens[:, 0], tokens[:, 1:].mean(1)
        else:  # of a model in training, which gives [CLS] alone
            feats = self.backbone.forward_track(inputs[:, None])
            found = feats.cls_token[:, 0], feats.patch_tokens.mean(1)
        return {
            name: self._check(features.float(), batch)
            for name, features in zip(('cls', 'patch'), found)
        }

    @staticmethod
    def _check(features: Tensor, batch: dict) -> Tensor:
        finite = features.isfinite().flatten(1).all(1)
        if not finite.all():
            sample = batch['data_samples'][int(finite.int().argmin())]
            raise ValueError(
                'features must be finite, but got NaN or infinity for image '
                f'{sample.get("img_path", sample.get("sample_idx"))}: check '
                'the weights of the backbone')
        return features
