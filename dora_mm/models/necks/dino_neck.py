from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor
from torch.nn.utils.parametrizations import weight_norm

from dora_mm.registry import MODELS
from ..utils.float32_product import linear_in_float32
from ..utils.setting_checks import check_integer


@MODELS.register_module()
class DINONeck(BaseModule):
    """DINO's projection: MLP, L2 normalisation, weight-normalised linear.

    Paper: "Emerging Properties in Self-Supervised Vision Transformers",
    appendix C (projection head). Parameter for parameter the authors'
    ``DINOHead`` without batch norm.

    Args:
        in_channels (int): Channels of the backbone, D.
        out_channels (int): Number of logits, P. Defaults to 65536.
        hidden_channels (int): Width of the MLP. Defaults to 2048.
        bottleneck_channels (int): Channels that are normalised. Defaults to
            256.
        norm_last_layer (bool): Keep the gain of the last layer fixed at 1.
            The released DoRA recipe lets it learn (False). Defaults to False.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If a number of channels is no positive integer.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 65536,
                 hidden_channels: int = 2048,
                 bottleneck_channels: int = 256,
                 norm_last_layer: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        for name, channels in (('in_channels', in_channels),
                               ('out_channels', out_channels),
                               ('hidden_channels', hidden_channels),
                               ('bottleneck_channels', bottleneck_channels)):
            check_integer(name, channels, 1)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, hidden_channels), nn.GELU(),
            nn.Linear(hidden_channels, bottleneck_channels))
        self.last_layer = weight_norm(
            nn.Linear(bottleneck_channels, out_channels, bias=False))
        gain = self.last_layer.parametrizations.weight.original0
        nn.init.ones_(gain)
        gain.requires_grad = not norm_last_layer

    def init_weights(self) -> None:
        """Truncated normal (std 0.02) for the MLP, as in DINO."""
        super().init_weights()
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def bottleneck(self, x: Tensor) -> Tensor:
        """All but the last layer.

        Args:
            x (Tensor): [CLS] tokens (..., D).

        Returns:
            Tensor: (..., bottleneck_channels), of length 1, in at least
            float32.
        """
        x = self.mlp(x)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return F.normalize(x, dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """Project [CLS] tokens.

        Args:
            x (Tensor): (..., D).

        Returns:
            Tensor: Logits (..., P), float32 under autocast too: rounded to
            bfloat16 and divided by a temperature of 0.04, they would be off
            by up to 0.05 nats.
        """
        return linear_in_float32(self.bottleneck(x), self.last_layer.weight)
