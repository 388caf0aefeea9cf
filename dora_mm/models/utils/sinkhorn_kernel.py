# Letters: N patches, K objects.
import math

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _iterate(scores, plans, epsilon, num_patches, num_objects, log_patches,
             log_objects, num_iters: tl.constexpr,
             block_patches: tl.constexpr, block_objects: tl.constexpr):
    patches = tl.arange(0, block_patches)[:, None]
    objects = tl.arange(0, block_objects)[None, :]
    inside = (patches < num_patches) & (objects < num_objects)
    offsets = patches * num_objects + objects
    start = tl.program_id(0).to(tl.int64) * num_patches * num_objects
    outside = float('-inf')

    plan = tl.load(scores + start + offsets, mask=inside, other=outside)
    plan = (plan - tl.max(tl.max(plan, 1), 0)) / epsilon
    for _ in range(num_iters):
        top = tl.where(objects < num_objects, tl.max(plan, 0)[None, :], 0.)
        mass = tl.sum(tl.exp(plan - top), 0)[None, :]
        plan = plan - top - tl.log(tl.where(mass > 0, mass, 1.)) - log_objects
        top = tl.where(patches < num_patches, tl.max(plan, 1)[:, None], 0.)
        mass = tl.sum(tl.exp(plan - top), 1)[:, None]
        plan = plan - top - tl.log(tl.where(mass > 0, mass, 1.)) - log_patches
    tl.store(plans + start + offsets, tl.exp(plan + log_patches), mask=inside)


@torch.library.custom_op('dora_mm::sinkhorn_knopp', mutates_args=())
def fused_sinkhorn_knopp(scores: Tensor, epsilon: float,
                         num_iters: int) -> Tensor:
    """:func:`sinkhorn_knopp` in one launch.

    A plan stays in the registers of one block of threads during all
    iterations, which is meant for some thousand entries.

    Args:
        scores (Tensor): (..., N, K), float32, on CUDA.
        epsilon (float): > 0.
        num_iters (int): >= 1.

    Returns:
        Tensor: (..., N, K), float32.
    """
    scores = scores.contiguous()
    plans = torch.empty_like(scores)
    num_patches, num_objects = scores.shape[-2:]
    _iterate[(scores[..., 0, 0].numel(), )](
        scores,
        plans,
        epsilon,
        num_patches,
        num_objects,
        math.log(num_patches),
        math.log(num_objects),
        num_iters=num_iters,
        block_patches=triton.next_power_of_2(num_patches),
        block_objects=triton.next_power_of_2(num_objects))
    return plans


@fused_sinkhorn_knopp.register_fake
def _(scores: Tensor, epsilon: float, num_iters: int) -> Tensor:
    return torch.empty_like(scores, memory_format=torch.contiguous_format)
