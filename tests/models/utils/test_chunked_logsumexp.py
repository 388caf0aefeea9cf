import pytest
import torch
import torch.nn.functional as F

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


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_logits_are_not_rounded_to_half_precision(dtype):
    """Where one of them decides they were off by up to .02 nats each, more
    than what the monitor warns of."""
    torch.manual_seed(0)
    features = F.normalize(torch.randn(M, 256), dim=1).requires_grad_()
    weight = (0.9 * features.detach().roll(1, 0)).requires_grad_()
    scale = 10.
    with torch.autocast('cpu', dtype):
        actual = module.chunked_logsumexp(features, weight, scale)
    inputs = (scale * features).to(dtype).double(), weight.to(dtype).double()
    exact = inputs[0] @ inputs[1].T
    torch.testing.assert_close(
        actual.double(), exact.logsumexp(-1), rtol=0, atol=4e-6)
    rounded = exact.to(dtype).double().logsumexp(-1)
    assert (rounded - exact.logsumexp(-1)).abs().max() > 1e-4

    grad = torch.randn(M)
    actual.backward(grad)
    probs = grad[:, None] * exact.softmax(-1)
    for ours, expected in ((features.grad, scale * probs @ inputs[1]),
                           (weight.grad, probs.T @ inputs[0])):
        error = (ours - expected).norm() / expected.norm()
        assert error < 2 * torch.finfo(dtype).eps
        assert ours.dtype == torch.float32


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
