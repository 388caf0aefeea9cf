import pytest
import torch
from torch._dynamo.utils import counters

from dora_mm.models.data_preprocessors.views.crop_resize import \
    resampling_matrix
from dora_mm.models.data_preprocessors.views.photometric import (
    _mirrored_taps, blur_matrix, jitter)
from dora_mm.models.utils import fused_function, warn_of_failure


class OnDevice(torch.Tensor):
    """A tensor that says it were on CUDA."""
    is_cuda = True


@pytest.fixture
def triton(monkeypatch):
    monkeypatch.setattr(fused_function, 'can_compile', lambda: True)


def images_and_draws(num, generator):

    def rand(*shape):
        return torch.rand(*shape, generator=generator)

    ops = torch.randint(0, 3, (6, num, 1, 1, 1), generator=generator)
    contrast = (ops == 1).float()
    blends = torch.stack((rand(*ops.shape) - 0.5, contrast,
                          (ops == 2).float(), 1 - contrast.cummax(0)[0]))
    return rand(num, 3, 8, 8), rand(num, 1, 1, 1) - 0.5, blends


def boxes(num, generator):
    start = torch.randint(0, 8, (2, num), generator=generator)
    length = torch.randint(1, 8, (2, num), generator=generator)
    return start, length, 16, 4, 'bicubic', start > 3


@pytest.mark.parametrize('function, varying, draw, graphs', [
    (jitter, (0, 0, 2), images_and_draws, 1),
    (blur_matrix, (0, None), lambda num, generator:
     (torch.rand(num, 1, 1, 1, generator=generator) + 0.1,
      _mirrored_taps(12, 4, torch.device('cpu')), 4), 1),
    # One for the first size of a batch, one for all others.
    (resampling_matrix, (), boxes, 2),
])
def test_numbers_of_images_share_graphs(function, varying, draw, graphs):
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(function, fullgraph=True, backend='aot_eager')
    generator = torch.Generator().manual_seed(0)
    for num in (5, 7, 20):
        args = draw(num, generator)
        for tensor, dim in zip(args, varying):
            if dim is not None:
                torch._dynamo.maybe_mark_dynamic(tensor, dim)
        torch.testing.assert_close(
            compiled(*args), function(*args), rtol=0, atol=1e-6)
    assert counters['stats']['unique_graphs'] == graphs


def test_a_function_that_does_not_compile_runs_as_it_is(triton, monkeypatch):

    def broken(function, **_):

        def call(*_):
            raise OSError('no C compiler\nand more')

        return call

    said = []
    monkeypatch.setattr(torch, 'compile', broken)
    monkeypatch.setattr(warn_of_failure, 'print_log',
                        lambda text, *_, **__: said.append(text))
    double = fused_function.FusedFunction(lambda x: 2 * x, (0, ))
    x = torch.arange(3.).as_subclass(OnDevice)
    for _ in range(2):
        assert double(x).tolist() == [0., 2., 4.]
    warning, = said
    assert 'no C compiler and more)' in warning and 'one by one' in warning


def test_it_compiles_on_cuda_alone(triton, monkeypatch):
    monkeypatch.setattr(torch, 'compile', lambda function, **_: lambda x: 3)
    double = fused_function.FusedFunction(lambda x: 2 * x, (0, ))
    x = torch.ones(2)
    assert double(x).tolist() == [2., 2.]
    assert double(x.as_subclass(OnDevice)) == 3
