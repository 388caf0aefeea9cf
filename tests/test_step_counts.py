"""What is counted, against numbers by hand; and a step, against its bounds.
"""
import argparse
import sys

import pytest
import torch
import torch.nn.functional as F
from clean_python import ROOT
from tiny import build_model
from torch._subclasses.fake_tensor import FakeTensorMode

if not hasattr(torch.Tag, 'reduction'):
    pytest.skip('torch is too old to name reductions', allow_module_level=True)
sys.path.insert(0, str(ROOT / 'benchmarks'))
step_counts = pytest.importorskip('step_counts')
kernel_counts = pytest.importorskip('kernel_counts')


def kernels_of(function, *inputs):
    counter = kernel_counts.KernelCounter()
    with FakeTensorMode(allow_non_fake_inputs=True), counter:
        function(*inputs)
    return [(k.kind, k.flops, k.read, k.written) for k in counter.kernels]


def compiled_kernels_of(function, *inputs):
    """Forward and backward pass, compiled."""
    torch._dynamo.reset()
    counter = kernel_counts.KernelCounter()
    compiled = torch.compile(
        function, backend=step_counts._counting_backend(counter))
    with FakeTensorMode(allow_non_fake_inputs=True):
        out = compiled(*inputs)
        if out.requires_grad:
            out.backward(torch.empty_like(out))
    return [(k.kind, k.flops, k.read, k.written) for k in counter.kernels]


def test_operations_by_hand():
    x, weight = torch.empty(6, 4), torch.empty(5, 4)
    bias = torch.empty(5).expand(6, 5)
    assert kernels_of(F.linear, x, weight) == [
        ('products', 2 * 6 * 4 * 5, 4 * (24 + 20), 4 * 30)
    ]
    assert kernels_of(lambda: x.view(4, 6).T.unbind()) == []
    assert kernels_of(lambda: x[:2].zero_()) == [('elementwise', 0, 0, 32)]
    assert kernels_of(lambda: torch.add(bias, 1)) == [
        ('elementwise', 0, 4 * 5, 4 * 30)
    ]
    assert kernels_of(lambda: x.bfloat16()) == [
        ('casts and copies', 0, 4 * 24, 2 * 24)
    ]


def test_attention_is_one_operation():
    shape, one = (2, 3, 8, 16), 4 * 2 * 3 * 8 * 16
    query, key, value = torch.empty(3, *shape)
    (kind, flops, read, written), = kernels_of(F.scaled_dot_product_attention,
                                               query, key, value)
    assert (kind, flops, read) == ('attention', 4 * 6 * 8 * 8 * 16, 3 * one)
    assert written == one + 4 * 2 * 3 * 8  # and the sums of the rows


def test_what_lies_between_products_is_one_kernel():
    x, first, second = (torch.empty(8, 8) for _ in range(3))

    def mlp(x, first, second):
        hidden = F.layer_norm(F.gelu(x @ first) * 2, (8, ))
        return hidden @ second + x

    one = 4 * 64
    product = ('products', 2 * 8**3, 2 * one, one)
    assert compiled_kernels_of(mlp, x, first, second) == [
        product, ('fused', 0, one, one), product,
        ('fused', 0, 2 * one, one)
    ]


def test_a_gradient_of_weights_reads_its_inputs_again():
    x = torch.empty(32, 8)
    bias = torch.empty(8, requires_grad=True)
    kernels = compiled_kernels_of(lambda x, b: (x + b).sigmoid() * 2, x, bias)
    one, row = 4 * 256, 4 * 8
    assert kernels[0] == ('fused', 0, one + row, one)
    kind, flops, read, written = kernels[-1]
    assert (kind, flops, written) == ('fused, over rows', 0, row)
    assert read <= 2 * one + row  # not the elementwise steps between


@pytest.fixture(scope='module')
def step():
    """Of the smallest model, three layers, as a GPU runs it."""
    model = build_model(backbone=dict(recompute=False, drop_path_rate=0.1))
    args = argparse.Namespace(batch=2, frames=3, device='cpu', set={})
    return step_counts.count(args, model)


def test_layers_compile_whole_and_once(step):
    stats, _ = step
    assert stats['breaks'] == stats['recompilations'] == 0
    assert 5 <= stats['graphs'] <= 6


def test_a_step_asks_for_no_more_than_it_did(step):
    _, kernels = step
    assert len(kernels) <= 761
    assert sum(k.read + k.written for k in kernels) <= 24.6e6


def test_a_step_that_was_timed_is_predicted(monkeypatch):
    """A row of before lacked what convolutions of patches take."""
    parser = argparse.ArgumentParser()
    step_counts.add_size_options(parser)
    args = parser.parse_args([])
    args.device = 'cpu'
    monkeypatch.setattr(step_counts, 'MEASURED', step_counts.MEASURED[:1])
    *_, row = step_counts.compare_with_measured(args)
    cells = row.replace(' ', '').split('|')
    assert cells[1:4] == ['H100', '32', 'False'] and cells[5] == '205.6'
    # as docs/benchmarks.md has it
    assert float(cells[8]) == pytest.approx(210.2, abs=0.3)
