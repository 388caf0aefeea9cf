# Letters: B images, C channels, D channels of a token, p side of a patch,
# N = r * c patches in rows and columns.
from typing import Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import PatchEmbed
from torch import Tensor

from ..utils.float32_product import product_dtype
from ..utils.plain_modules import is_plain


class LinearPatchEmbed(PatchEmbed):
    """mmcv's patch embedding as a matrix product over unfolded patches.

    A convolution whose stride is its kernel reads each pixel once: it is a
    linear layer of the C p^2 pixels of a patch. Parameters and results are
    those of the stock class. cuDNN may choose an algorithm without tensor
    cores for the convolution. A convolution that was replaced or has hooks is
    called.
    """

    @classmethod
    def adopt(cls, embed: PatchEmbed) -> PatchEmbed:
        """Change a stock embedding in place, if its patches do not overlap.

        Args:
            embed (PatchEmbed): As the stock class built it.

        Returns:
            PatchEmbed: The same, a :class:`LinearPatchEmbed` where that
            computes the same.
        """
        conv = embed.projection
        if type(conv) is nn.Conv2d and conv.stride == conv.kernel_size \
                and conv.padding == (0, 0) and conv.dilation == (1, 1) \
                and conv.groups == 1:
            embed.__class__ = cls
        return embed

    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
        """Project patches.

        Args:
            x (Tensor): Images (B, C, h, w), float.

        Returns:
            tuple: Tokens (B, N, D), and the rows and columns of the grid.
        """
        if not is_plain(self.projection, nn.Conv2d):
            return super().forward(x)
        if self.adaptive_padding:
            x = self.adaptive_padding(x)
        conv = self.projection
        height, width = conv.kernel_size
        rows, columns = x.shape[-2] // height, x.shape[-1] // width
        x = x[..., :rows * height, :columns * width]
        x = x.unflatten(-1, (columns, width)).unflatten(-3, (rows, height))
        x = x.permute(0, 2, 4, 1, 3, 5)  # (B, r, c, C, p, p)
        # One pass over the pixels, which would be copied and then cast.
        x = x.to(
            product_dtype(conv.weight), memory_format=torch.contiguous_format)
        x = F.linear(
            x.flatten(3).flatten(1, 2), conv.weight.flatten(1), conv.bias)
        if self.norm is not None:
            x = self.norm(x)
        return x, (rows, columns)
