"""How healthy a representation is, told without labels.

Letters: M samples, D channels, P prototypes.
"""
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dora_mm.utils.check_finite import check_finite

_ROUNDING = 1e-12
_BLOCK = 1024


def rank_me(features: Tensor) -> float:
    """The effective rank of features.

    Paper: "RankMe: Assessing the downstream performance of pretrained
    self-supervised representations by their rank": exp of the entropy of the
    singular values, divided by their sum. The mean is not removed.

    Args:
        features (Tensor): (M, D), float.

    Returns:
        float: From 1, where all samples are the same but for their length, to
        min(M, D).

    Raises:
        ValueError: If a feature is not finite.
    """
    values = _spectrum(features, centred=False).sqrt()
    share = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return float(torch.special.entr(share).sum().exp())


def alpha_req(features: Tensor) -> float:
    """How fast the variance of features falls from direction to direction.

    Paper: "alpha-ReQ: Assessing representation quality in self-supervised
    learning by measuring eigenspectrum decay": the j-th largest eigenvalue of
    the covariance is fitted by j^-alpha. The fit is one of least squares in
    logarithms, where j has the weight 1 / j, as each octave counts as much;
    the authors leave out the first ranks and the last, which here all take
    part as far as rounding leaves them.

    Args:
        features (Tensor): (M, D), float.

    Returns:
        float: alpha; 0 is white, infinity one direction or none.

    Raises:
        ValueError: If a feature is not finite.
    """
    values = _spectrum(features, centred=True)
    values = values[values > _ROUNDING * values.max()]
    if len(values) < 2:
        return math.inf
    rank = torch.arange(1, len(values) + 1, dtype=values.dtype)
    weight = (1 / rank) / (1 / rank).sum()
    x, y = rank.log(), values.log()
    x = x - (weight * x).sum()
    return float(-(weight * x * y).sum() / (weight * x * x).sum())


def _spectrum(features: Tensor, centred: bool) -> Tensor:
    """Squared singular values, descending, float64 (D,), on the CPU."""
    if features.ndim != 2 or len(features) < 2:
        raise ValueError('features must be (M, D) of at least two samples, '
                         f'but got {tuple(features.shape)}')
    check_finite(features, 'features', 'check the weights of the backbone')
    features = features.cpu().double()
    if centred:
        mean = features.mean(0)
        features = features - mean
        # What remains of samples that are all the same is rounding.
        if features.abs().max() <= 1e-6 * mean.abs().max():
            features = torch.zeros_like(features)
    return torch.linalg.eigvalsh(features.T @ features).flip(0).clamp_min(0)


def unique_prototypes(weight: Tensor, min_cosine: float = 0.975) -> float:
    """The share of prototypes that no other one repeats.

    Paper: "On partial prototype collapse in the DINO family of
    self-supervised methods", which counts 908 unique ones among the 60,000 of
    a DINO. One after the other, a prototype is unique if its cosine with every
    unique one before is below ``min_cosine``.

    Args:
        weight (Tensor): (P, D), rows of the last layer, of any length.
        min_cosine (float): Defaults to 0.975.

    Returns:
        float: In (0, 1].
    """
    weight = F.normalize(weight.detach().float(), dim=1)
    unique = weight[:0]
    for block in weight.split(_BLOCK):
        if len(unique):
            block = block[(block @ unique.T).amax(1) < min_cosine]
        alike = (block @ block.T >= min_cosine).tolist()
        kept = []
        for row in range(len(block)):
            if not any(alike[row][other] for other in kept):
                kept.append(row)
        unique = torch.cat([unique, block[kept]])
    return len(unique) / len(weight)
