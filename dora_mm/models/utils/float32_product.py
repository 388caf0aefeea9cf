# Letters: M rows, C channels, P logits.
from typing import Any, Tuple

import torch
from torch import Tensor

# torch >= 2.8: a product on tensor cores that leaves its sums as they are.
_HAS_OUT_DTYPE = 'dtype' in torch.ops.aten.mm.overloads()


def float32_product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product whose sums stay in float32.

    Of half-precision matrices PyTorch rounds the sums to half precision. A
    product of two such numbers is exact in float32, so where no tensor core
    leaves sums in float32 the product of the widened matrices is the same.

    Args:
        left (Tensor): (M, C), floating.
        right (Tensor): (C, P), of the same dtype.

    Returns:
        Tensor: (M, P), float32 (float64 stays float64).
    """
    if left.dtype not in (torch.float16, torch.bfloat16):
        return left @ right
    if _HAS_OUT_DTYPE and _has_tensor_cores(left):
        return torch.mm(left, right, out_dtype=torch.float32)
    return left.float() @ right.float()


def linear_in_float32(x: Tensor, weight: Tensor) -> Tensor:
    """A linear layer without bias whose results are not rounded.

    Under autocast inputs are cast to its dtype, sums are float32.

    Args:
        x (Tensor): (..., C), floating.
        weight (Tensor): (P, C), floating.

    Returns:
        Tensor: (..., P), float32 (float64 stays float64), differentiable
        once.
    """
    dtype = product_dtype(weight)
    rows = x.reshape(-1, x.shape[-1])
    out = _Product.apply(rows.to(dtype), weight.to(dtype))
    return out.view(*x.shape[:-1], len(weight))


def product_dtype(weight: Tensor) -> torch.dtype:
    """The dtype in which a weight is multiplied: that of autocast, if on."""
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype


class _Product(torch.autograd.Function):
    """x W^T, both in one dtype."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        with torch.autocast(x.device.type, enabled=False):
            return float32_product(x, weight.T)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad = grad.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return grad @ weight, grad.T @ x


def _has_tensor_cores(tensor: Tensor) -> bool:
    return tensor.is_cuda
