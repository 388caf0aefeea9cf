"""Carrying labels from frame to frame, as pure functions.

Letters: S source frames, N patches of a frame, D channels, C classes.

As plain loops, for one patch q of the new frame:

    for each source frame s and patch p of it at most `radius` rows and
    columns away from q: weight[s, p] = exp(<q, p> / temperature)
    keep the `topk` largest weights (and, with `ties`, what equals the last
    of them)
    label[q] = sum of weight * label[s, p] / sum of weight
"""
from typing import Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dora_mm.utils.check_finite import check_finite
from dora_mm.utils.check_temperature import check_temperature

# Similarities that are in work at a time: 4 MB stay in a CPU's cache.
_MAX_SIMILARITIES = dict(cpu=1 << 20, default=1 << 26)


def window_bias(grid: Tuple[int, int],
                radius: int,
                device: Optional[torch.device] = None,
                disk: bool = False) -> Optional[Tensor]:
    """What to add to similarities so that only near patches count.

    Args:
        grid (tuple[int, int]): Rows and columns of patches.
        radius (int): Patches up, down, left and right; 0 for no limit.
        device (torch.device, optional): Where to make it.
        disk (bool): Whether patches nearer than ``radius`` count, as in
            videowalk, in place of a square, as in DINO. Defaults to False.

    Returns:
        Tensor: (N, N), 0 inside the window and -inf outside; None for no
        limit.
    """
    if radius == 0:
        return None
    rows, columns = (torch.arange(size, device=device) for size in grid)
    away_rows = (rows[:, None] - rows).abs()[:, None, :, None]
    away_columns = (columns[:, None] - columns).abs()[None, :, None, :]
    if disk:
        near = away_rows**2 + away_columns**2 < radius**2
    else:
        near = (away_rows <= radius) & (away_columns <= radius)
    num = grid[0] * grid[1]
    bias = torch.zeros(num, num, device=device)
    return bias.masked_fill_(~near.reshape(num, num), -torch.inf)


def propagate_labels(target: Tensor,
                     sources: Tensor,
                     labels: Tensor,
                     bias: Optional[Tensor] = None,
                     topk: int = 5,
                     temperature: float = 0.1,
                     free: int = 0,
                     ties: bool = True) -> Tensor:
    """Labels of a frame from those of frames before.

    Equal to the plain protocol of DINO, which takes the exponential of every
    similarity and normalises a dense (S N, N) matrix: as the exponential
    rises, the largest similarities can be found first, and only those are
    raised, normalised and multiplied.

    Args:
        target (Tensor): (N, D), L2-normalised.
        sources (Tensor): (S, N, D), L2-normalised.
        labels (Tensor): (S, N, C).
        bias (Tensor, optional): (N, N), see :func:`window_bias`.
        topk (int): Sources that count for each patch. Defaults to 5.
        temperature (float): Divisor of the similarity. Defaults to 0.1.
        free (int): Sources, from the first on, that ``bias`` is not for.
            Defaults to 0.
        ties (bool): Whether what equals the last of the ``topk`` counts as
            well. Defaults to True.

    Returns:
        Tensor: (N, C).

    Raises:
        ValueError: If a feature or label is not finite, or see
            :func:`check_temperature`.
    """
    check_temperature('temperature', temperature, 0.1)
    for name, values in (('target', target), ('sources', sources), ('labels',
                                                                    labels)):
        check_finite(values, name, 'check the weights of the backbone')
    num = len(target)
    sources, labels = sources.flatten(0, 1), labels.flatten(0, 1)
    limit = _MAX_SIMILARITIES.get(target.device.type,
                                  _MAX_SIMILARITIES['default'])
    rows = max(limit // len(sources), 1)
    keys = sources.T
    out = []
    for start in range(0, num, rows):
        part = slice(start, start + rows)
        similarity = target[part] @ keys  # (rows, S N)
        if bias is not None:
            similarity.unflatten(1, (-1, num))[:, free:] += bias[part, None]
        out.append(_top_labels(similarity, labels, topk, temperature, ties))
    return torch.cat(out)


def _top_labels(similarity: Tensor, labels: Tensor, topk: int,
                temperature: float, ties: bool) -> Tensor:
    """(rows, S N) and (S N, C) to (rows, C)."""
    count = min(topk + ties, similarity.shape[1])
    best, index = similarity.topk(count)
    # softmax takes the maximum off first, so no normal number is too low
    weights = (best[:, :topk] / temperature).softmax(1)
    out = torch.einsum('rk,rkc->rc', weights, labels[index[:, :topk]])
    # What equals the last of the topk counts as well; it is rare, as in two
    # equal frames.
    tied = torch.zeros(0, device=out.device, dtype=torch.long)
    if count > topk:
        tied = ((best[:, topk] == best[:, topk - 1])
                & best[:, topk].isfinite()).nonzero()[:, 0]
    if len(tied):
        values = similarity[tied]
        kept = values >= best[tied, topk - 1, None]
        values = values.masked_fill(~kept, -torch.inf)
        out[tied] = (values / temperature).softmax(1) @ labels
    return out


def decode_labels(labels: Tensor, grid: Tuple[int, int], patch_size: int,
                  size: Tuple[int, int],
                  stretch: bool = True) -> Tensor:
    """Label scores of patches to a mask of pixels.

    Bilinear enlargement, each class stretched to [0, 1], the largest wins;
    then the nearest neighbour in the size of the video.

    Args:
        labels (Tensor): (N, C).
        grid (tuple[int, int]): Rows and columns of patches.
        patch_size (int): Pixels.
        size (tuple[int, int]): Height and width of the mask.
        stretch (bool): Whether classes are stretched, as in DINO's protocol.
            Defaults to True.

    Returns:
        Tensor: uint8, ``size``.
    """
    scores = labels.T.unflatten(1, grid)[None]  # (1, C, h, w)
    scores = F.interpolate(
        scores, scale_factor=patch_size, mode='bilinear',
        align_corners=False)[0]
    if stretch:
        low, high = scores.amin((1, 2), True), scores.amax((1, 2), True)
        # a class that is nowhere stays 0, and one that is alike everywhere
        # becomes 0
        span = torch.where(high > low, high - low, torch.ones_like(high))
        scores = torch.where(high > 0, (scores - low) / span, scores)
    return nearest(scores.argmax(0).to(torch.uint8), size)


def nearest(image: Tensor, size: Tuple[int, int]) -> Tensor:
    """Resize by the nearest pixel, as PIL does.

    Args:
        image (Tensor): (h, w).
        size (tuple[int, int]): New height and width.

    Returns:
        Tensor: ``size``.
    """
    rows, columns = (_nearest_places(new, old).to(image.device)
                     for new, old in zip(size, image.shape))
    return image[rows[:, None], columns]


def _nearest_places(new: int, old: int) -> Tensor:
    """Where the centre of each new pixel lies.

    PIL adds up the steps; how that rounds decides between two old pixels.
    """
    steps = np.full(new, old / new)
    steps[0] /= 2
    return torch.from_numpy(np.cumsum(steps).astype(np.int64).clip(0, old - 1))
