"""The kernel in Triton's interpreter, and compiled for GPUs without one."""
import os
import subprocess
import sys

import pytest
import torch
from clean_python import ROOT

from dora_mm.models import SinkhornPrototypeHead
from dora_mm.models.utils import warn_of_failure

pytest.importorskip('triton')
pytestmark = pytest.mark.skipif(
    torch.__version__ < '2.6', reason='its Triton does not run the kernel')

AGAINST_FLOAT64 = """
import torch
from dora_mm.models.utils import sinkhorn_knopp
from dora_mm.models.utils.sinkhorn_kernel import fused_sinkhorn_knopp

generator = torch.Generator().manual_seed(0)
for shape in ((1, 16, 1), (3, 5, 7), (1, 1, 196, 3)):
    for scale in (1., 1e4):
        scores = scale * torch.randn(shape, generator=generator)
        scores[0, ..., -1] = -scale  # an object that no patch wants
        plan = fused_sinkhorn_knopp(scores, 0.05, 8)
        expected = sinkhorn_knopp(scores.double(), 0.05, 8).float()
        torch.testing.assert_close(plan, expected, rtol=1e-5, atol=1e-5)
        scores = scores.transpose(0, -2).contiguous().transpose(0, -2)
        assert torch.equal(fused_sinkhorn_knopp(scores, 0.05, 8), plan)
"""


def test_kernel_against_float64():
    env = dict(os.environ, TRITON_INTERPRET='1', PYTHONPATH=str(ROOT))
    subprocess.run([sys.executable, '-W', 'ignore', '-c', AGAINST_FLOAT64],
                   check=True,
                   env=env)


@pytest.mark.parametrize('capability', [80, 90])
def test_kernel_compiles_for_a_gpu(capability):
    """By Triton and ptxas, which need none."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dora_mm.models.utils.sinkhorn_kernel import _iterate
    constants = dict(num_iters=30, block_patches=256, block_objects=4)
    types = dict(scores='*fp32', plans='*fp32')
    signature = {
        name:
        'constexpr' if name in constants else types.get(
            name, 'i32' if name.startswith('num') else 'fp32')
        for name in _iterate.arg_names
    }
    kernel = triton.compile(
        ASTSource(_iterate, signature, constants),
        target=GPUTarget('cuda', capability, 32))
    assert kernel.asm['cubin']


def test_tracking_goes_on_where_triton_fails(monkeypatch):
    """Here for want of a GPU."""
    said = []
    monkeypatch.setattr(warn_of_failure, 'print_log',
                        lambda message, *_, **__: said.append(message))
    scores = torch.randn(2, 9, 3)
    head, plain = (SinkhornPrototypeHead(fused=f) for f in (True, False))
    for _ in range(2):
        assert torch.equal(head._transport(scores), plain._transport(scores))
    warning, = said
    assert 'Triton failed' in warning


def test_a_cpu_does_not_try():
    head = SinkhornPrototypeHead()
    head._transport(torch.randn(2, 9, 3))
    assert head.fused is False


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_against_float64():
    from dora_mm.models.utils import sinkhorn_knopp
    from dora_mm.models.utils.sinkhorn_kernel import fused_sinkhorn_knopp
    scores = torch.randn(4, 196, 3)
    torch.testing.assert_close(
        fused_sinkhorn_knopp(scores.cuda(), 0.05, 30).cpu(),
        sinkhorn_knopp(scores.double(), 0.05, 30).float(),
        rtol=1e-4,
        atol=1e-5)
