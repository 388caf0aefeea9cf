"""On a CPU, with the GPU's answers given: autocast and scaler are real."""
from functools import partial

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from torch import nn


@pytest.fixture
def card(monkeypatch):
    """Set the compute capability; None is a CPU."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available',
                        lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, 'GradScaler',
                        partial(torch.amp.GradScaler, 'cpu'))

    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')  # for mmengine's logger

    def choose(capability):
        monkeypatch.setattr(torch.cuda, 'is_available',
                            lambda: capability is not None)
        monkeypatch.setattr(torch.cuda, 'get_device_capability',
                            lambda: capability)

    return choose


def build(**settings):
    cfg = dict(
        type='dora_mm.MixedPrecisionOptimWrapper',
        optimizer=dict(type='SGD', lr=1.),
        **settings)
    return build_optim_wrapper(nn.Linear(2, 1), cfg)


# V100, T4, A100, H100: the two older ones only emulate bfloat16.
@pytest.mark.parametrize('capability, dtype', [((7, 0), torch.float16),
                                               ((7, 5), torch.float16),
                                               ((8, 0), torch.bfloat16),
                                               ((9, 0), torch.bfloat16)])
def test_the_card_decides(card, capability, dtype):
    card(capability)
    wrapper = build()
    assert wrapper.cast_dtype is dtype
    assert wrapper.loss_scaler.is_enabled() == (dtype is torch.float16)


def test_one_setting_goes_back(card):
    card((9, 0))
    wrapper = build(dtype='float16', loss_scale=512.)
    assert wrapper.cast_dtype is torch.float16
    assert wrapper.loss_scaler.get_scale() == 512


def test_a_step_in_bfloat16_is_not_scaled(card):
    card((9, 0))
    wrapper = build()
    linear = nn.Linear(2, 1, bias=False)
    wrapper.optimizer = torch.optim.SGD(linear.parameters(), lr=1.)
    start = linear.weight.detach().clone()
    with wrapper.optim_context(linear):
        out = linear(torch.tensor([[1., 2.]]))
    assert out.dtype is torch.bfloat16
    wrapper.update_params(out.float().sum())
    torch.testing.assert_close(start - linear.weight, torch.tensor([[1., 2.]]))


@pytest.mark.parametrize('before, after', [((7, 0), (8, 0)), ((8, 0), (7, 0)),
                                           ((7, 0), (7, 0))])
def test_a_run_resumes_on_another_card(card, before, after):
    """The scaler of bfloat16 saves nothing, which the other one refused."""
    card(before)
    first = build(loss_scale=dict(init_scale=64.))
    first.optimizer.param_groups[0]['lr'] = 0.25
    state = first.state_dict()
    card(after)
    second = build()
    second.load_state_dict(state)
    assert second.optimizer.param_groups[0]['lr'] == 0.25
    if after == (7, 0):
        assert second.loss_scaler.get_scale() == (64. if before == after else
                                                  2.**16)
