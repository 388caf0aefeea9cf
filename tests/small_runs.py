"""Checkpoints of small runs, and whether a network is theirs."""
import torch

from dora_mm.models import build_backbone

WIDTH = 64


def make_run(path,
             heads=2,
             patch=8,
             size=(32, 32),
             eps=1e-6,
             act='GELU',
             say=True,
             **others):
    """A checkpoint of a run, and its own teacher."""
    torch.manual_seed(0)
    settings = dict(
        type='dora_mm.DoRAViT',
        arch=dict(
            embed_dims=WIDTH,
            num_layers=2,
            num_heads=heads,
            feedforward_channels=96),
        img_size=size,
        patch_size=patch,
        norm_cfg=dict(type='LN', eps=eps),
        layer_cfgs=dict(act_cfg=dict(type=act)))
    settings.update(others)
    teacher = build_backbone(dict(settings, out_type='raw'))
    for param in teacher.parameters():
        # small activations, in which the epsilon of a norm shows
        torch.nn.init.normal_(param, std=0.05)
    state = {
        f'{prefix}{name}': value
        for prefix in ('backbone.', 'teacher.backbone.')
        for name, value in teacher.state_dict().items()
    }
    model = dict(type='dora_mm.DINO', backbone=settings)
    meta = dict(iter=1, cfg=f'model = {model!r}\n') if say else {}
    torch.save(dict(state_dict=state, meta=meta), path)
    return teacher


@torch.no_grad()
def assert_same_features(found, expected, size):
    """At its own size, and at one that is not square."""
    for height, width in (size, (size[0] + 16, size[1] + 48)):
        images = torch.randn(1, 3, height, width)
        a, b = found(images)[-1], expected(images)[-1]
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
