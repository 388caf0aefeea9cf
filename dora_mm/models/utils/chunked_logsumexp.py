# Letters: M rows, C channels, P logits, p logits of a chunk.
from typing import Any, Iterator, Tuple

import torch
from torch import Tensor

from .float32_product import float32_product, product_dtype

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

    Under autocast the products take numbers in its dtype; their sums, which
    are the logits, and all that follows are float32.

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
    dtype = product_dtype(weight)
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    # A pass over (M, C) instead of one over the logits.
    features = (scale * features).to(dtype)
    return _ChunkedLogSumExp.apply(features, weight.to(dtype))


class _ChunkedLogSumExp(torch.autograd.Function):

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor) -> Tensor:
        total = None
        with torch.autocast(features.device.type, enabled=False):
            for _, logits in _chunks(features, weight):
                # One kernel, where logsumexp reads the logits four times.
                part = logits[:, 0] - logits.log_softmax(-1)[:, 0]
                total = part if total is None else total.logaddexp(part)
        ctx.save_for_backward(features, weight, total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor]:
        features, weight, total = ctx.saved_tensors
        grad_features = torch.zeros_like(features, dtype=total.dtype)
        grad_weight = torch.empty_like(weight)
        # The gradient of the logits is grad * softmax(logits). Its size goes
        # into the exponent, its sign beside the rows that it is of.
        shift = (total - grad.abs().log())[:, None]
        sign = grad.sign()[:, None]
        signed = sign.to(features.dtype) * features
        with torch.autocast(features.device.type, enabled=False):
            for part, logits in _chunks(features, weight):
                size = logits.sub_(shift)
                if size.dtype != features.dtype:
                    size = torch.empty_like(size, dtype=features.dtype)
                torch.exp(logits, out=size)
                grad_features += float32_product(size, weight[part])
                torch.mm(size.T, signed, out=grad_weight[part])
        return (sign * grad_features).to(features.dtype), grad_weight


def _chunks(features: Tensor,
            weight: Tensor) -> Iterator[Tuple[slice, Tensor]]:
    """Slices of P and their logits (M, p) in at least float32."""
    limit = _MAX_LOGITS.get(features.device.type, _MAX_LOGITS_ELSEWHERE)
    size = max(limit // max(len(features), 1), 1)
    for start in range(0, len(weight), size):
        part = slice(start, min(start + size, len(weight)))
        yield part, float32_product(features, weight[part].T)
