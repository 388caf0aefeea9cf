"""A step never waits for the device: tensors on it have no data to read."""
from contextlib import nullcontext

import pytest
import torch
from mmpretrain.structures import DataSample
from tiny import build_model
from torch.utils._python_dispatch import TorchDispatchMode

from dora_mm.engine import PerParameterClipHook


class NoBlockingCopies(TorchDispatchMode):
    """Refuses copies to the device that the host would wait for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        copies = [(args[0], out, kwargs.get('non_blocking'))
                  ] if func is torch.ops.aten._to_copy.default else []
        if func is torch.ops.aten.copy_.default:
            copies = [(args[1], args[0],
                       kwargs.get('non_blocking', args[2:] == (True, )))]
        for source, target, non_blocking in copies:
            assert source.device == target.device or non_blocking
        return out


@pytest.mark.skipif(
    torch.__version__ < '2.6',
    reason='its weight norm has no gradient without data')
@pytest.mark.parametrize('name, settings', [
    ('DoRA',
     dict(
         backbone=dict(drop_path_rate=0.1),
         head=dict(draw='sample'),
         loss=dict(carry_frame_loss=True, skip_first_local=True))),
    ('DoRA',
     dict(
         mask=dict(mode='batch'),
         mask_control='other_clip',
         track_layer=-2,
         patch_feature='attention')),
    ('DINO', dict(loss=dict(mean_over_pairs=True))),
],
                         ids=str)
def test_a_step_waits_for_nothing(name, settings, monkeypatch):
    # Which does not know such tensors.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    monkeypatch.setattr(torch, 'is_autocast_enabled', lambda _: False)
    model = build_model(name, **settings).to('meta')
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1)
    clips = torch.empty(2, 3, 3, 40, 40, dtype=torch.uint8, device='meta')
    samples = [DataSample(metainfo=dict(seed=seed)) for seed in range(2)]
    for i in range(2):
        model.seed_step(i)
        # The first one may fill caches.
        with NoBlockingCopies() if i else nullcontext():
            inputs = model.data_preprocessor(
                dict(inputs=clips, data_samples=samples), training=True)
            losses = model.loss(**inputs)
            loss, _ = model.parse_losses(losses)
            loss.backward()
            PerParameterClipHook(3.).clip(optimizer)
            optimizer.step()
            model.update_teacher(0.99)
