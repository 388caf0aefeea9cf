"""Tokens of masked images, without the images where masks hide patches.

Letters: V views, M images of a view, K objects, N patches, D channels.
"""
from typing import Callable, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..utils.recompute import recompute


def mask_patches(patch_embed: nn.Module, add_positions: Callable,
                 images: Tensor,
                 masks: Tensor) -> Tuple[Tensor, Tuple[int, int]]:
    """Project visible patches once, and one hidden patch for all.

    Positions are added before the copies for K objects.

    Args:
        patch_embed (nn.Module): Images (B, 3, h, w) to patches (B, N, D) and
            their grid.
        add_positions (Callable): Patches and their grid to tokens (B, S, D),
            of which the last N are theirs.
        images (Tensor): (V, M, 3, h, w).
        masks (Tensor): (V, K, M, rows, columns), > 0 is visible.

    Returns:
        tuple: Tokens (V * K * M, S, D) and the grid.
    """
    # The images are kept anyway, their unfolded patches need not be.
    visible, resolution = recompute(patch_embed, images.flatten(0, 1))
    size = patch_embed.projection.kernel_size
    hidden, _ = patch_embed(images.new_zeros(1, 3, *size))
    hidden = hidden.expand(-1, visible.shape[1], -1)
    visible, hidden = (
        add_positions(patches, resolution) for patches in (visible, hidden))
    visible = visible.unflatten(0, images.shape[:2])  # (V, M, S, D)
    masks = masks.flatten(3)
    extra = visible.shape[2] - masks.shape[3]
    masks = F.pad(masks, (extra, 0), value=1)[..., None] > 0  # (V, K, M, S, 1)
    x = torch.where(masks, visible[:, None], hidden)
    return x.flatten(0, 2), resolution


def mask_pixels(patch_embed: nn.Module, images: Tensor, masks: Tensor,
                mask_images: Callable) -> Tuple[Tensor, Tuple[int, int]]:
    """Project the patches of images that masks hide in part of a patch.

    Args:
        patch_embed, images, masks: See :func:`mask_patches`.
        mask_images (Callable): Applies masks (M, rows, columns) to images
            (M, 3, h, w).

    Returns:
        tuple: Projected patches (V * K * M, N, D) and their grid.
    """
    resolution = None

    def project(view: Tensor, mask: Tensor) -> Tensor:
        nonlocal resolution
        patches, resolution = patch_embed(mask_images(view, mask))
        return patches

    patches = torch.cat([
        recompute(project, view, mask)
        for view, view_masks in zip(images, masks) for mask in view_masks
    ])
    return patches, resolution


def drop_hidden_patches(x: Tensor, masks: Tensor) -> Tuple[Tensor, Tensor]:
    """The extra tokens and the visible ones of N, in their order.

    Args:
        x (Tensor): (B, extra + N, D).
        masks (Tensor): (B, N).

    Returns:
        tuple[Tensor]: (B, S, D), padded to the longest with hidden ones,
        and (B, S), bool, False for those.
    """
    extra = masks.new_ones(len(masks), x.shape[1] - masks.shape[1])
    visible = (torch.cat((extra, masks), 1) > 0).byte()
    lengths = visible.sum(1)
    longest = int(lengths.max())
    order = visible.argsort(dim=1, descending=True, stable=True)
    key_mask = torch.arange(longest, device=x.device) < lengths[:, None]
    return x.take_along_dim(order[:, :longest, None], 1), key_mask
