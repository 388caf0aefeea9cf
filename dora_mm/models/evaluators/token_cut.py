"""TokenCut: one object of an image by a cut of the graph of its patches.

Wang et al., "Self-Supervised Transformers for Unsupervised Object Discovery
using Normalized Cut", CVPR 2022. Letters: N patches, D channels.
"""
from typing import Tuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dora_mm.utils.check_finite import check_finite
from .attention_box import Box, region_box


def token_cut_box(keys: Tensor,
                  grid: Tuple[int, int],
                  threshold: float = 0.2,
                  weak: float = 1e-5) -> Box:
    """Find the object.

    Two patches are linked with weight 1 if the cosine of their keys is above
    ``threshold``, else with ``weak``. The second smallest eigenvector of
    (D - A) x = lambda D x is cut at its mean; the side of the entry with the
    largest absolute value is the object, and the box goes round the
    4-connected region of that entry.

    Args:
        keys (Tensor): (N, D), of the last layer, heads concatenated.
        grid (tuple[int, int]): Rows and columns of patches.
        threshold (float): Defaults to 0.2, the paper's.
        weak (float): Defaults to 1e-5, the paper's.

    Returns:
        tuple[int, int, int, int]: Left, top, right, bottom in patches, the
        last two exclusive.

    Raises:
        ValueError: If a key is not finite.
    """
    check_finite(keys, 'keys', 'check the weights of the backbone')
    keys = F.normalize(keys.double(), dim=1)
    links = torch.where(keys @ keys.T > threshold, 1., weak).double()
    scale = links.sum(1).rsqrt()
    # with y = D^0.5 x the problem is a symmetric one; float64, as eigenvalues
    # lie close together
    matrix = torch.eye(len(keys), dtype=torch.double, device=keys.device)
    matrix -= scale[:, None] * links * scale
    vector = scale * torch.linalg.eigh(matrix).eigenvectors[:, 1]
    seed = int(vector.abs().argmax())
    side = vector > vector.mean()
    side = side if side[seed] else ~side
    _, regions = cv2.connectedComponents(
        side.reshape(grid).cpu().numpy().astype(np.uint8), connectivity=4)
    return region_box(regions == regions[divmod(seed, grid[1])])
