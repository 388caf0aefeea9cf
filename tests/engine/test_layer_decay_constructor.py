import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from dora_mm.models import DoRAViT

ARCH = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=16)
CFG = dict(
    optimizer=dict(type='AdamW', lr=1., weight_decay=0.5),
    constructor='dora_mm.LayerDecayConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.1,
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        flat_decay_mult=0.))


class Host(nn.Module):
    """Like mmseg's and mmdet's models: no get_layer_depth of its own."""

    def __init__(self, **kwargs):
        super().__init__()
        self.backbone = DoRAViT(ARCH, img_size=16, patch_size=8, **kwargs)
        self.neck = nn.Conv2d(16, 4, 1)


def rates(model, cfg=CFG):
    wrapper = build_optim_wrapper(model, copy.deepcopy(cfg))
    return {
        g['param_name']: (pytest.approx(g['lr']), g['weight_decay'])
        for g in wrapper.optimizer.param_groups
    }


def test_rates_by_name():
    found = rates(Host())
    assert len(found) == len(list(Host().parameters()))
    assert found['backbone.pos_embed'] == (1e-4, 0.5)  # as iBOT, not exempt
    assert found['backbone.cls_token'] == (1e-4, 0.5)
    assert found['backbone.patch_embed.projection.weight'] == (1e-4, 0.5)
    assert found['backbone.patch_embed.projection.bias'] == (1e-4, 0.)
    assert found['backbone.layers.0.attn.qkv.weight'] == (1e-3, 0.5)
    assert found['backbone.layers.2.ln2.weight'] == (1e-1, 0.)
    assert found['backbone.ln1.weight'] == (1., 0.)
    assert found['neck.weight'] == (1., 0.5)


def test_the_same_in_ddp_and_without_the_frozen(tmp_path):
    frozen = rates(Host(frozen_stages=2))
    assert {
        name.split('.')[2]
        for name in frozen if name.startswith('backbone.layers')
    } == {'2'}
    assert 'backbone.pos_embed' not in frozen
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(Host(frozen_stages=2))
        assert rates(model) == frozen
    finally:
        torch.distributed.destroy_process_group()


def test_rates_of_custom_keys():
    """mmpretrain's constructor passes lr_mult over."""
    cfg = dict(CFG, paramwise_cfg=dict(
        layer_decay_rate=0.1,
        custom_keys={
            'neck': dict(lr_mult=10.),
            'layers.0.attn': dict(lr_mult=2., decay_mult=0.)
        }))  # yapf: disable
    found = rates(Host(), cfg)
    assert found['neck.weight'] == (10., 0.5)
    assert found['backbone.layers.0.attn.qkv.weight'] == (2e-3, 0.)
    assert found['backbone.layers.0.ln1.weight'] == (1e-3, 0.5)


@pytest.mark.parametrize('paramwise_cfg', [
    dict(num_layers=12, decay_rate=0.9, decay_type='layer_wise'),
    dict(layer_decay_rate=0.9, bypass_duplicate=True),
    dict(norm_decay_mult=0.),
    None,
], ids=str)  # yapf: disable
def test_settings_that_would_do_nothing_are_refused(paramwise_cfg):
    """All layers got one rate, without a word."""
    with pytest.raises(ValueError, match='must have layer_decay_rate'):
        rates(Host(), dict(CFG, paramwise_cfg=paramwise_cfg))


def test_an_optimiser_without_weight_decay_is_refused():
    """It ended in a KeyError of the log."""
    with pytest.raises(ValueError, match='weight_decay must be a number'):
        rates(
            Host(),
            dict(
                CFG,
                optimizer=dict(type='SGD', lr=1.),
                paramwise_cfg=dict(layer_decay_rate=0.9)))


def test_a_backbone_without_depths_is_told():
    model = nn.Module()
    model.backbone = nn.Conv2d(3, 4, 1)
    with pytest.raises(ValueError, match='backbone .* got Conv2d'):
        rates(model)
