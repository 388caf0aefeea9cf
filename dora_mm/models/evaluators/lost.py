"""LOST: one object of an image from the keys of a ViT, without training.

Simeoni et al., "Localizing Objects with Self-Supervised Transformers and no
Labels", BMVC 2021. Letters: N patches, D channels.
"""
from typing import Tuple

import cv2
import numpy as np
import torch
from torch import Tensor

from dora_mm.utils.check_finite import check_finite


def lost_box(keys: Tensor,
             grid: Tuple[int, int],
             num_patches: int = 100) -> Tuple[int, int, int, int]:
    """Find the object.

    Two patches are linked if the product of their keys is positive. The seed
    is the patch with the fewest links, as objects are smaller than their
    background; of the ``num_patches`` with the fewest, those linked to the
    seed vote for every patch by their products; the box goes round the
    4-connected region of positive votes that the seed lies in.

    Args:
        keys (Tensor): (N, D), of the last layer, heads concatenated.
        grid (tuple[int, int]): Rows and columns of patches.
        num_patches (int): Defaults to 100, the paper's.

    Returns:
        tuple[int, int, int, int]: Left, top, right, bottom in patches, the
        last two exclusive.

    Raises:
        ValueError: If a key is not finite.
    """
    check_finite(keys, 'keys', 'check the weights of the backbone')
    products = keys @ keys.T
    links = products > 0
    links.fill_diagonal_(False)
    # stable, so that ties do not depend on the device
    order = torch.argsort(links.sum(1), stable=True)
    seed = int(order[0])
    few = order[:num_patches]
    voters = few[products[seed, few] > 0]
    # a patch whose key is zero is not even linked to itself
    voters = voters if len(voters) else few[:1]
    votes = products[voters].sum(0).reshape(grid)
    positive = (votes > 0).cpu().numpy().astype(np.uint8)
    _, regions = cv2.connectedComponents(positive, connectivity=4)
    row, column = divmod(seed, grid[1])
    if not positive[row, column]:
        return column, row, column + 1, row + 1
    rows, columns = np.nonzero(regions == regions[row, column])
    return (int(columns.min()), int(rows.min()), int(columns.max()) + 1,
            int(rows.max()) + 1)
