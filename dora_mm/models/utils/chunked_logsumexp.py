# Letters: M rows, C channels, P logits, p logits of a chunk.
from typing import Any, Iterator, Tuple

import torch
from torch import Tensor

# Logits that exist at a time: on a CPU they stay in its cache, elsewhere they
# are enough to fill the device.
_MAX_LOGITS = dict(cpu=2**20)
_MAX_LOGITS_ELSEWHERE = 2**26


def chunked_logsumexp(features: Tensor, weight: Tensor,
                      scale: float) -> Tensor:
    r"""logsumexp over the logits of a linear layer, without the logits.

    :math:`\log \sum_p \exp(s \, \langle w_p, f_m \rangle)` for each row m. The
    logits (M, P) are computed for some p at a time, and computed again for
    the gradients, so memory does not grow with M times P.

    Under autocast the products run in its dtype; sums and exponentials are
    float32.

    Args:
        features (Tensor): (M, C), floating.
        weight (Tensor): (P, C), floating.
        scale (float): Factor of the logits, one over the temperature.

    Returns:
        Tensor: (M,), float32 (float64 stays float64), differentiable once.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if features.ndim != 2 or features.shape[1:] != weight.shape[1:]:
        raise ValueError(
            'features must be (M, C) and weight (P, C) with the same C, but '
            f'got {tuple(features.shape)} and {tuple(weight.shape)}: flatten '
            'the leading dimensions of features')
    device = features.device.type
    dtype = weight.dtype
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    return _ChunkedLogSumExp.apply(features.to(dtype), weight.to(dtype), scale)


class _ChunkedLogSumExp(torch.autograd.Function):

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor,
                scale: float) -> Tensor:
        total = None
        with torch.autocast(features.device.type, enabled=False):
            for _, logits in _chunks(features, weight, scale):
                part = logits.logsumexp(-1)
                total = part if total is None else total.logaddexp(part)
        ctx.save_for_backward(features, weight, total)
        ctx.scale = scale
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor, None]:
        features, weight, total = ctx.saved_tensors
        grad_features = torch.zeros_like(features, dtype=total.dtype)
        grad_weight = torch.empty_like(weight)
        factor = (grad * ctx.scale)[:, None]
        with torch.autocast(features.device.type, enabled=False):
            for part, logits in _chunks(features, weight, ctx.scale):
                # d total / d logits is softmax(logits)
                grad_logits = logits.sub_(total[:, None]).exp_().mul_(factor)
                grad_logits = grad_logits.to(features.dtype)
                grad_features += grad_logits @ weight[part]
                torch.mm(grad_logits.T, features, out=grad_weight[part])
        return grad_features.to(features.dtype), grad_weight, None


def _chunks(features: Tensor, weight: Tensor,
            scale: float) -> Iterator[Tuple[slice, Tensor]]:
    """Slices of P and their scaled logits (M, p) in at least float32."""
    limit = _MAX_LOGITS.get(features.device.type, _MAX_LOGITS_ELSEWHERE)
    size = max(limit // max(len(features), 1), 1)
    for start in range(0, len(weight), size):
        part = slice(start, min(start + size, len(weight)))
        logits = features @ weight[part].T
        if logits.dtype != torch.float64:
            logits = logits.float()
        yield part, logits.mul_(scale)
