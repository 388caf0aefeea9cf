import math
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_pos_embed_dino(pos_embed: Tensor,
                          dst_shape: Tuple[int, int],
                          num_extra_tokens: int = 1) -> Tensor:
    """Resize square position embeddings the way DINO and DoRA do.

    DINO passes ``scale_factor = (size + 0.1) / source`` to the bicubic
    interpolation, so its sampling grid is stretched slightly against that of
    ``size=`` (which mmpretrain uses): the two are equal at the source size
    and 1 to 8 % apart at 96 to 112 pixels for a 224-pixel model.

    Args:
        pos_embed (Tensor): (1, extra + n * n, D), float.
        dst_shape (tuple[int, int]): Rows and columns of the new patch grid.
        num_extra_tokens (int): Tokens in front of the grid. Defaults to 1.

    Returns:
        Tensor: (1, extra + rows * columns, D), same dtype.

    Raises:
        ValueError: If the stored grid is not square.
    """
    num_patches = pos_embed.shape[1] - num_extra_tokens
    side = math.isqrt(num_patches)
    if side * side != num_patches:
        raise ValueError(
            "pos_embed must hold a square grid with pos_interp='dino', but "
            f"got {num_patches} patch positions: set pos_interp='size' for a "
            'model whose img_size is no square')
    if tuple(dst_shape) == (side, side):
        return pos_embed
    extra, grid = pos_embed.split([num_extra_tokens, num_patches], dim=1)
    grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(
        grid.float(),
        scale_factor=tuple((size + 0.1) / side for size in dst_shape),
        mode='bicubic')
    assert tuple(resized.shape[-2:]) == tuple(dst_shape)
    return torch.cat((extra, resized.flatten(2).mT.to(grid.dtype)), dim=1)
