"""What DoRAViT makes of ``init_cfg``."""
import pytest
import torch
from mmpretrain.models import VisionTransformer

from dora_mm.models import DoRAViT

ARCH = dict(embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=96)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    backbone = DoRAViT(ARCH, img_size=32, patch_size=8)
    for param in backbone.parameters():
        torch.nn.init.normal_(param, std=0.2)
    return backbone


@pytest.mark.parametrize('prefix, given, message', [
    (None, 'backbone.', "none of patch_embed .*key is 'backbone.cls_token'"),
    (None, 'student.backbone.', 'init_cfg.checkpoint must hold'),
    ('backbone.', 'student.backbone.', "init_cfg.prefix must .*'backbone.'"),
    ('backbone.', '', "init_cfg.prefix must be .* got 'backbone.' for"),
])  # yapf: disable
def test_init_cfg_refuses_what_loads_nothing(backbone, tmp_path, prefix,
                                             given, message):
    """mmengine would train on random weights, or name no file."""
    state = {given + k: v for k, v in backbone.state_dict().items()}
    vit = _pretrained(tmp_path, state, prefix=prefix)
    with pytest.raises(ValueError, match=message):
        vit.init_weights()


def test_init_cfg_refuses_a_shallower_vit(backbone, tmp_path):
    state = {
        name: tensor
        for name, tensor in backbone.state_dict().items()
        if not name.startswith('layers.2.')
    }
    with pytest.raises(ValueError, match='none of layers.2 and of 0 other'):
        _pretrained(tmp_path, state).init_weights()


@pytest.mark.parametrize('others', [
    [], [dict(type='Normal', layer='Linear', std=3.)]], ids=str)
def test_a_list_of_initialisations_loads_the_checkpoint(
        backbone, tmp_path, others):
    """Random weights were drawn over those of the file."""
    state = backbone.state_dict()
    vit = _pretrained(tmp_path, state)
    vit.init_cfg = [*others, vit.init_cfg]
    vit.init_weights()
    for name, tensor in vit.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_another_initialisation_is_that_of_the_stock_class():
    """DINO's was drawn over it."""
    cfg = dict(type='Normal', layer='Linear', std=3.)
    ours, stock = (
        kind(ARCH, img_size=32, patch_size=8, init_cfg=cfg)
        for kind in (DoRAViT, VisionTransformer))
    for vit in (ours, stock):
        torch.manual_seed(0)
        vit.init_weights()
    for (name, tensor), expected in zip(ours.named_parameters(),
                                        stock.parameters()):
        if not name.startswith('patch_embed'):  # drawn before
            assert torch.equal(tensor, expected), name


def _pretrained(folder, state, **init_cfg):
    torch.save(dict(state_dict=state), folder / 'a b.pth')
    return DoRAViT(
        ARCH,
        img_size=32,
        patch_size=8,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=str(folder / 'a b.pth'),
            **init_cfg))
