# Letters: B images, D channels, h and w the patch grid.
from typing import Optional, Sequence, Tuple

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from dora_mm.registry import MODELS

NUM_LEVELS = 4


@MODELS.register_module()
class ViTPyramid(BaseModule):
    """Four levels of strides 4, 8, 16, 32 from four levels of a ViT's stride.

    iBOT's downstream backbones (and BEiT's before) end in these operations:
    two transposed convolutions with a norm and GELU between them, one
    transposed convolution, nothing, and max pooling. Operations and keys are
    those of mmseg's ``Feature2Pyramid``, which mmdet users would have to
    install mmseg for. In mmdet put it before the FPN, in a list:
    ``neck=[dict(type='dora_mm.ViTPyramid', ...), dict(type='FPN', ...)]``.

    Args:
        in_channels (int): Channels D of every level.
        norm_cfg (dict): Norm in the first level. Defaults to SyncBN, which
            mmengine turns into BN where a run is not distributed.
        init_cfg (dict, optional): Initialisation. Defaults to None: torch's.
    """

    def __init__(self,
                 in_channels: int,
                 norm_cfg: dict = dict(type='SyncBN'),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)

        def double() -> nn.Module:
            return nn.ConvTranspose2d(in_channels, in_channels, 2, stride=2)

        self.upsample_4x = nn.Sequential(
            double(),
            build_norm_layer(norm_cfg, in_channels)[1], nn.GELU(), double())
        self.upsample_2x = nn.Sequential(double())
        self.downsample_2x = nn.MaxPool2d(2)

    def forward(self, feats: Sequence[Tensor]) -> Tuple[Tensor, ...]:
        """Rescale each level.

        Args:
            feats (Sequence[Tensor]): Four maps (B, D, h, w), shallow to deep.

        Returns:
            tuple[Tensor]: (B, D, 4h, 4w), (B, D, 2h, 2w), (B, D, h, w),
            (B, D, h // 2, w // 2).

        Raises:
            ValueError: If there are not four levels.
        """
        if len(feats) != NUM_LEVELS:
            raise ValueError(
                f'feats must be {NUM_LEVELS} levels, but got {len(feats)}: '
                'give the backbone that many out_indices')
        return (self.upsample_4x(feats[0]), self.upsample_2x(feats[1]),
                feats[2], self.downsample_2x(feats[3]))
