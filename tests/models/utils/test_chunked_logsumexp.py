import pytest
import torch

from dora_mm.models.utils import chunked_logsumexp as module

M, C, P = 7, 5, 23


def tensors(dtype=torch.float64):
    torch.manual_seed(0)
    return (torch.randn(M, C, dtype=dtype, requires_grad=True),
            torch.randn(P, C, dtype=dtype, requires_grad=True))


@pytest.mark.parametrize('limit', [1, M * 4, M * P])
def test_value_and_gradients_row_by_row(limit, monkeypatch):
    """Whole, in chunks that do not divide P, and of one logit."""
    monkeypatch.setitem(module._MAX_LOGITS, 'cpu', limit)
    features, weight = tensors()
    grad = torch.randn(M, dtype=torch.float64)
    actual = module.chunked_logsumexp(features, weight, 3.)
    expected = torch.stack([(3. * (weight @ row)).exp().sum().log()
                            for row in features])
    torch.testing.assert_close(actual, expected)
    for ours, loops in zip(
            torch.autograd.grad(actual, (features, weight), grad),
            torch.autograd.grad(expected, (features, weight), grad)):
        torch.testing.assert_close(ours, loops)


def test_logits_far_apart_stay_finite():
    features, weight = tensors(torch.float32)
    scale = 1e4
    actual = module.chunked_logsumexp(features, weight, scale)
    torch.testing.assert_close(actual, scale * (features @ weight.T).amax(-1))
    actual.sum().backward()
    assert features.grad.isfinite().all() and weight.grad.isfinite().all()


def test_half_precision_products_and_float32_sums():
    features, weight = tensors(torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        actual = module.chunked_logsumexp(features, weight, 10.)
    half = (features.bfloat16() @ weight.bfloat16().T).float() * 10
    torch.testing.assert_close(actual, half.logsumexp(-1))
    actual.sum().backward()
    expected = half.softmax(-1) @ weight * 10
    torch.testing.assert_close(features.grad, expected, rtol=0.03, atol=0.1)
    assert features.grad.dtype == weight.grad.dtype == torch.float32


def test_what_is_kept_does_not_grow_with_the_logits():
    features, weight = tensors()
    kept = []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        module.chunked_logsumexp(features, weight, 1.)
    assert sorted(kept) == sorted([M * C, P * C, M])


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r'\(2, 3, 5\).*\(23, 5\)'):
        module.chunked_logsumexp(torch.zeros(2, 3, 5), torch.zeros(P, C), 1.)
