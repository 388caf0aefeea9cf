"""The object that the [CLS] token of a ViT looks at, without training.

Letters: H heads, N patches.
"""
from typing import Tuple

import cv2
import numpy as np
import torch
from torch import Tensor

from dora_mm.utils.check_finite import check_finite

Box = Tuple[int, int, int, int]


def kept_patches(attention: Tensor, mass: float = 0.8) -> Tensor:
    """The smallest set of patches that keeps a share of the attention.

    Args:
        attention (Tensor): (N,), not negative.
        mass (float): Share of the sum, in (0, 1]. Defaults to 0.8.

    Returns:
        Tensor: (N,), bool; of equal patches the first are taken.

    Raises:
        ValueError: If ``mass`` is out of range, or an entry is not finite.
    """
    if not 0 < mass <= 1:
        raise ValueError(f'mass must lie in (0, 1], but got {mass}: the DoRA '
                         'paper keeps 0.8')
    check_finite(attention, 'attention', 'check the weights of the backbone')
    attention = attention.double()
    order = attention.argsort(descending=True, stable=True)
    before = attention[order].cumsum(0) - attention[order]
    kept = torch.zeros_like(attention, dtype=torch.bool)
    kept[order] = before < mass * attention.sum()
    return kept


def attention_box(cls_attn: Tensor,
                  grid: Tuple[int, int],
                  mass: float = 0.8,
                  by_mass: bool = False) -> Box:
    """The box of the object by the protocol that DoRA's authors describe.

    The attention of the heads is averaged, the smallest set of patches with
    80 % of its mass is kept, and the box goes round the largest 4-connected
    component of them. The paper does not say which component it takes.

    Args:
        cls_attn (Tensor): (H, N), the [CLS] row over the patches.
        grid (tuple[int, int]): Rows and columns of patches.
        mass (float): Share that is kept. Defaults to 0.8.
        by_mass (bool): Take the component with most attention instead of the
            one with most patches. Defaults to False.

    Returns:
        tuple[int, int, int, int]: Left, top, right, bottom in patches, the
        last two exclusive.

    Raises:
        ValueError: See :func:`kept_patches`.
    """
    attention = cls_attn.float().mean(0)
    kept = kept_patches(attention, mass).reshape(grid)
    _, regions = cv2.connectedComponents(
        kept.cpu().numpy().astype(np.uint8), connectivity=4)
    weights = attention.double().cpu().numpy() if by_mass else None
    sizes = np.bincount(regions.ravel(), weights)
    sizes[0] = -1  # what is not kept
    return region_box(regions == sizes.argmax())


def region_box(region: np.ndarray) -> Box:
    """The box round a region.

    Args:
        region (np.ndarray): (rows, columns), bool, not empty.

    Returns:
        tuple[int, int, int, int]: Left, top, right, bottom, the last two
        exclusive.
    """
    rows, columns = np.nonzero(region)
    return (int(columns.min()), int(rows.min()), int(columns.max()) + 1,
            int(rows.max()) + 1)
