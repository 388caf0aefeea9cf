# Letters: B images, N patches, D channels.
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from dora_mm.registry import MODELS
from .frozen_encoder import FrozenEncoder


@MODELS.register_module()
class DenseEncoder(FrozenEncoder):
    """Images to the patch tokens of a frozen backbone.

    Its arguments are those of :class:`FrozenEncoder`.
    """

    def forward(self,
                inputs: Tensor,
                data_samples: Any = None,
                mode: str = 'tensor') -> Tensor:
        """Patch tokens after the final norm.

        Args:
            inputs (Tensor): (B, 3, h, w), normalised.
            data_samples: Not used.
            mode (str): 'tensor'; there is no loss.

        Returns:
            Tensor: (B, N, D).

        Raises:
            ValueError: If another mode is asked for.
        """
        if mode != 'tensor':
            raise ValueError(f'a frozen encoder has no mode {mode!r}, only '
                             "'tensor'")
        return self.backbone(inputs)[-1][:, 1:]

    def encode(self, batch: dict) -> Tensor:
        """A batch of a data loader to patch features.

        Args:
            batch (dict): ``inputs``, B images, uint8 (B, 3, h, w), RGB.

        Returns:
            Tensor: (B, N, D), float32, L2-normalised.

        Raises:
            ValueError: If a feature is not finite.
        """
        return F.normalize(super().encode(batch), dim=-1)
