"""Random checkpoints in the authors' layout, and a way to run a tool."""
import argparse
from collections import OrderedDict

import numpy as np
import pytest
import torch
from clean_python import ROOT
from warm_python import run_warm


def _vit_shapes(width, depth, patches, patch_size=16, ratio=4):
    shapes = OrderedDict(
        cls_token=(1, 1, width), pos_embed=(1, 1 + patches, width))
    shapes['patch_embed.proj.weight'] = (width, 3, patch_size, patch_size)
    shapes['patch_embed.proj.bias'] = (width, )
    for i in range(depth):
        for name, out, inner in (('attn.qkv', 3 * width,
                                  width), ('attn.proj', width, width),
                                 ('mlp.fc1', ratio * width,
                                  width), ('mlp.fc2', width, ratio * width)):
            shapes[f'blocks.{i}.{name}.weight'] = (out, inner)
            shapes[f'blocks.{i}.{name}.bias'] = (out, )
        for name in ('norm1', 'norm2'):
            shapes[f'blocks.{i}.{name}.weight'] = (width, )
            shapes[f'blocks.{i}.{name}.bias'] = (width, )
    shapes['norm.weight'] = shapes['norm.bias'] = (width, )
    return shapes


def _head_shapes(width, hidden=32, bottleneck=16, logits=24):
    shapes = OrderedDict()
    sizes = (width, hidden, hidden, bottleneck)
    for layer in range(3):
        shapes[f'mlp.{2 * layer}.weight'] = (sizes[layer + 1], sizes[layer])
        shapes[f'mlp.{2 * layer}.bias'] = (sizes[layer + 1], )
    shapes['last_layer.weight_g'] = (logits, 1)
    shapes['last_layer.weight_v'] = (logits, bottleneck)
    return shapes


def _random(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict((name, 0.1 * torch.randn(shape, generator=generator))
                       for name, shape in shapes.items())


@pytest.fixture
def make_backbone():
    """Random ViT under the authors' names: (width, depth, patches, seed)."""

    def make(width=64, depth=2, patches=4, seed=0):
        return _random(_vit_shapes(width, depth, patches), seed)

    return make


@pytest.fixture
def make_authors(make_backbone):
    """What the authors' main.py saves, with small heads."""

    def network(seed, prefix, **sizes):
        backbone = make_backbone(seed=seed, **sizes)
        width = backbone['cls_token'].shape[-1]
        head = _random(_head_shapes(width), seed + 1)
        state = OrderedDict(
            (f'{prefix}backbone.{k}', v) for k, v in backbone.items())
        state.update((f'{prefix}head.{k}', v) for k, v in head.items())
        return state

    def make(**sizes):
        generator = torch.Generator().manual_seed(9)
        return dict(
            student=network(1, 'module.', **sizes),
            teacher=network(3, '', **sizes),
            optimizer=dict(state={}, param_groups=[dict(lr=np.float64(1e-3))]),
            epoch=7,
            args=argparse.Namespace(arch='vit_tiny', out_dim=24),
            dino_loss=OrderedDict(
                center=torch.randn((1, 24), generator=generator)))

    return make


@pytest.fixture
def save(tmp_path):
    """Save an object, return the path as str."""

    def run(data, name='source.pth'):
        torch.save(data, tmp_path / name)
        return str(tmp_path / name)

    return run


@pytest.fixture
def run_tool():
    """Run a file of tools/ with the dora_mm that is tested."""

    def run(name, *args):
        return run_warm(ROOT / 'tools' / name, *args)

    return run
