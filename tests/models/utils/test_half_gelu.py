import math

import pytest
import torch

from dora_mm.models.utils.half_gelu import HalfGELU


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_all_numbers_against_float64(dtype):
    """Value and derivative of each finite number of 16 bits."""
    x = torch.arange(2**16).to(torch.int16).view(dtype)
    x = x[x.isfinite()].requires_grad_()
    out = HalfGELU.apply(x)
    out.backward(torch.ones_like(out))
    wide = x.detach().double()
    cdf = torch.erfc(-wide * math.sqrt(0.5)) / 2
    pdf = torch.exp(-wide**2 / 2) / math.sqrt(2 * math.pi)
    # Of a half-precision number, and where float32 loses digits.
    least = max(torch.finfo(dtype).tiny * torch.finfo(dtype).eps,
                torch.finfo(torch.float32).tiny)
    # Near -0.75 the two terms of the derivative cancel.
    for ours, exact, cancelled in ((out.detach(), wide * cdf, 0.),
                                   (x.grad, cdf + wide * pdf, 1e-7)):
        rounding = 0.5 * torch.finfo(dtype).eps * exact.abs()
        error = (ours.double() - exact).abs()
        assert (error <= 1.01 * rounding + least + cancelled).all()


def test_no_number():
    x = torch.tensor([math.nan, math.inf, -80.], dtype=torch.bfloat16)
    out = HalfGELU.apply(x)
    assert out[0].isnan() and out[1] == math.inf and out[2] == 0
