import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dora_mm.models import DINONeck
from dora_mm.models.utils import float32_product as module

HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize('dtype', HALF)
def test_teacher_logits_are_not_rounded(dtype):
    """They were: divided by a temperature of .04, by up to .05 nats."""
    torch.manual_seed(0)
    neck = DINONeck(8, out_channels=5, hidden_channels=16)
    x = torch.randn(2, 5, 8)
    with torch.autocast('cpu', dtype):
        features = neck.bottleneck(x)
        assert (features.norm(dim=-1) - 1).abs().max() < 1e-6
        neck.last_layer.weight = 0.9 * features[0]
        logits = neck(x)
        weight = neck.last_layer.weight
    exact = features.to(dtype).double() @ weight.to(dtype).double().T
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits.double(), exact, rtol=0, atol=1e-6)
    assert (exact.to(dtype) - exact).abs().max() > 1e-4


@pytest.mark.parametrize('dtype', HALF)
def test_gradients(dtype):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 16), torch.randn(5, 16)
    results = []
    for linear in (module.linear_in_float32, F.linear):
        leaves = [t.clone().requires_grad_() for t in (x, weight)]
        with torch.autocast('cpu', dtype, enabled=linear is not F.linear):
            out = linear(*leaves)
        out.square().sum().backward()
        results.append([leaf.grad for leaf in leaves])
    for ours, expected in zip(*results):
        error = (ours - expected).norm() / expected.norm()
        assert error < 2 * torch.finfo(dtype).eps


def test_whole_precision_is_a_plain_product():
    x, weight = torch.randn(7, 16), torch.randn(5, 16)
    for dtype in (torch.float32, torch.float64):
        actual = module.linear_in_float32(x.to(dtype), weight.to(dtype))
        assert torch.equal(actual, x.to(dtype) @ weight.to(dtype).T)


@pytest.mark.skipif(
    not module._HAS_OUT_DTYPE, reason='this PyTorch has no mm(out_dtype=)')
def test_tensor_cores_leave_float32():
    """On CUDA, without one: half-precision numbers go into one product, and
    no half-precision result comes out of it."""
    called = []

    class Record(TorchDispatchMode):

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func._schema.name == 'aten::mm':
                called.append((args[0].dtype, out.dtype))
            return out

    with FakeTensorMode(), Record():
        x, weight = (
            torch.empty(4, 4, device='cuda', dtype=torch.bfloat16)
            for _ in range(2))
        module.linear_in_float32(x, weight)
    assert called == [(torch.bfloat16, torch.float32)]


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_equals_cpu():
    torch.manual_seed(0)
    x, weight = (
        F.normalize(torch.randn(size, 256), dim=1).bfloat16()
        for size in (7, 513))
    torch.testing.assert_close(
        module.linear_in_float32(x.cuda(), weight.cuda()).cpu(),
        module.linear_in_float32(x, weight),
        rtol=0,
        atol=1e-6)
