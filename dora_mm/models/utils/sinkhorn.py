import math

import torch
from torch import Tensor

# Scores that differ by less than 3e8, divided by it, stay in float32.
_LEAST = 1e-30


def check_sinkhorn(epsilon: float, num_iters: int) -> None:
    """Refuse settings that :func:`sinkhorn_knopp` cannot run with.

    Args:
        epsilon (float): From 1e-30 on, finite.
        num_iters (int): >= 1.

    Raises:
        ValueError: If one is out of range.
    """
    if not _LEAST <= epsilon < math.inf:
        raise ValueError(
            f'epsilon must be finite and at least {_LEAST:g}, but got '
            f'{epsilon}: 0.05 is the default')
    if num_iters < 1:
        raise ValueError(f'num_iters must be at least 1, but got {num_iters}')


@torch.no_grad()
def sinkhorn_knopp(scores: Tensor,
                   epsilon: float = 0.05,
                   num_iters: int = 30) -> Tensor:
    r"""Optimal transport between N patches and K objects (eq. 4).

    Finds :math:`M = \mathrm{diag}(u) \exp(S / \varepsilon) \mathrm{diag}(v)`
    with uniform marginals by scaling objects to ``1 / K``, then patches to
    ``1 / N``, in turn. It works on logarithms, where nothing underflows: the
    result is finite where all scores lie within ``3e38 * epsilon``, which is
    3e8 at the least epsilon. The authors' code scales
    :math:`\exp(\cdot)` itself, where an object whose scores all lie about
    ``90 * epsilon`` below the largest one becomes 0 / 0.

    Like the authors' code, the plan is returned times N, so that each patch's
    row is a distribution over the objects.

    Args:
        scores (Tensor): (..., N, K), any floating dtype; computed in float32
            (float64 stays float64).
        epsilon (float): Entropic regularisation, from 1e-30 on. Defaults to
            0.05.
        num_iters (int): Pairs of scalings, >= 1. Defaults to 30.

    Returns:
        Tensor: Plan (..., N, K), rows sum to 1, columns to about N / K.

    Raises:
        ValueError: If ``epsilon`` or ``num_iters`` is out of range.
    """
    check_sinkhorn(epsilon, num_iters)
    if scores.dtype != torch.float64:
        scores = scores.float()
    # A common offset does not change the plan, and near 0 float32 is finest.
    log_plan = (scores - scores.amax(dim=(-2, -1), keepdim=True)) / epsilon
    num_patches, num_objects = scores.shape[-2:]
    for _ in range(num_iters):
        log_plan = log_plan - log_plan.logsumexp(-2, keepdim=True)
        log_plan = log_plan - math.log(num_objects)
        log_plan = log_plan - log_plan.logsumexp(-1, keepdim=True)
        log_plan = log_plan - math.log(num_patches)
    return (log_plan + math.log(num_patches)).exp()


@torch.no_grad()
def plan_error(plan: Tensor) -> Tensor:
    """How unequally a plan treats its objects.

    The iteration ends with the patches, whose marginal is then exact. That of
    the objects is as far off as the iteration is from its fixed point.

    Args:
        plan (Tensor): (..., N, K), of any mass.

    Returns:
        Tensor: Scalar, on the plan's device: the largest relative error of a
        column sum, mean over the plans.
    """
    columns = plan.sum(-2)
    error = columns / columns.mean(-1, keepdim=True) - 1
    return error.abs().amax(-1).mean()
