import hashlib
import os
import re
import runpy
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from clean_python import ROOT

from dora_mm import checkpoints
from dora_mm.checkpoints import publishing
from dora_mm.models import build_backbone
from dora_mm.version import __version__

convert = partial(checkpoints.convert, build=build_backbone)
publish = partial(checkpoints.publish, build=build_backbone)


@pytest.fixture
def runner_file(make_authors, save, tmp_path):
    """A checkpoint of ours, and the authors' state it was made from."""
    authors = make_authors()
    convert(save(authors), tmp_path / 'epoch_7.pth', 'dora_mm')
    os.remove(tmp_path / 'source.pth')
    return tmp_path / 'epoch_7.pth', authors


def tiny_vit(**kwargs):
    from mmpretrain.models import VisionTransformer
    return VisionTransformer(
        arch=dict(
            embed_dims=64, num_layers=2, num_heads=1,
            feedforward_channels=256),
        img_size=32,
        patch_size=16,
        **kwargs)


@pytest.mark.parametrize('key, prefix', [('teacher', ''),
                                         ('student', 'module.')])
def test_published_file(runner_file, tmp_path, key, prefix):
    source, authors = runner_file
    report = publish(source, tmp_path / 'vit.pth', key=key)
    path = report.path
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert re.fullmatch(r'vit_\d{8}-' + digest[:8] + r'\.pth', path.name)
    data = torch.load(path, weights_only=True)
    assert set(data) == {'state_dict', 'meta'}
    assert len(data['state_dict']) == 6 + 12 * 2
    assert data['meta'] == dict(
        source='epoch_7.pth',
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        source_layout='dora_mm',
        dora_mm_version=__version__,
        epoch=7,
        backbone_of=key,
        arch=dict(
            embed_dims=64,
            num_layers=2,
            num_heads=1,
            feedforward_channels=256,
            patch_size=16,
            img_size=32,
            in_channels=3,
            norm_eps=1e-6,
            activation='gelu'))
    vit = tiny_vit(
        init_cfg=dict(
            type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    vit.init_weights()
    for ours, theirs in (('layers.1.attn.qkv.bias', 'blocks.1.attn.qkv.bias'),
                         ('layers.0.ffn.layers.1.weight',
                          'blocks.0.mlp.fc2.weight'), ('ln1.weight',
                                                       'norm.weight')):
        assert torch.equal(vit.state_dict()[ours],
                           authors[key][f'{prefix}backbone.{theirs}'])
    assert len(report.rows) + len(report.dropped) == 2 * 38 + 1


def test_published_again_keeps_whose_it_was(runner_file, tmp_path):
    once = publish(runner_file[0], tmp_path / 'a.pth').path
    twice = publish(once, tmp_path / 'b').path
    found, first = (
        torch.load(path, weights_only=True) for path in (twice, once))
    assert found['meta']['backbone_of'] == 'teacher'
    assert found['meta']['source_layout'] == 'mmpretrain'
    for name, tensor in first['state_dict'].items():
        assert torch.equal(found['state_dict'][name], tensor)


def test_foreign_parts_do_not_stop_it_but_holes_do(runner_file, tmp_path):
    source, _ = runner_file
    data = torch.load(source, weights_only=True)
    data['state_dict']['probe.weight'] = torch.ones(2)
    torch.save(data, source)
    report = publish(source, tmp_path / 'vit.pth')
    assert 'probe.weight' in report.dropped
    os.remove(report.path)

    del data['state_dict']['teacher.backbone.layers.0.ln2.bias']
    data['state_dict']['teacher.backbone.layers.0.gamma'] = torch.ones(2)
    torch.save(data, source)
    with pytest.raises(ValueError) as error:
        publish(source, tmp_path / 'vit.pth')
    assert 'teacher.backbone.blocks.0.norm2.bias' in str(error.value)
    assert 'teacher.backbone.layers.0.gamma' in str(error.value)
    assert os.listdir(tmp_path) == ['epoch_7.pth']


def test_failed_check_leaves_no_file(runner_file, tmp_path, monkeypatch):
    write = publishing.write_tensors

    def swapped(groups, layout):
        output, rows = write(groups, layout)
        state = output['state_dict']
        a, b = 'backbone.layers.0.ln1.weight', 'backbone.layers.0.ln2.weight'
        state[a], state[b] = state[b], state[a]
        return output, rows

    monkeypatch.setattr(publishing, 'write_tensors', swapped)
    with pytest.raises(ValueError, match='does not compute'):
        publish(runner_file[0], tmp_path / 'vit.pth')
    assert os.listdir(tmp_path) == ['epoch_7.pth']


def test_key_must_be_there(make_authors, save, tmp_path):
    authors = make_authors()
    del authors['teacher']
    with pytest.raises(ValueError, match="'teacher'.*'student'"):
        publish(save(authors), tmp_path / 'vit.pth')
    with pytest.raises(ValueError, match='key must be one of'):
        publish(save(authors), tmp_path / 'vit.pth', key='ema')


def test_tool_prints_the_path_last(runner_file, run_tool, tmp_path):
    result = run_tool('publish_backbone.py', runner_file[0],
                      tmp_path / 'vit.pth', '--key', 'student')
    assert result.returncode == 0, result.stderr
    # It was a line for each tensor, below warnings of packages.
    assert result.stderr == '' and result.stdout.count('\n') == 2
    path = Path(result.stdout.splitlines()[-1])
    assert path.parent == tmp_path and path.name.startswith('vit_')
    data = torch.load(path, weights_only=True)
    assert data['meta']['backbone_of'] == 'student'


def test_nothing_is_published_without_what_its_card_needs(
        runner_file, tmp_path, monkeypatch):
    """safetensors was missed after the file was written."""
    main = runpy.run_path(str(ROOT / 'tools/publish_backbone.py'))['main']
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    with pytest.raises(ImportError, match=r'pip install "dora-mm\[hf\]"'):
        main([str(runner_file[0]), str(tmp_path / 'new.pth'), '--card'])
    assert not list(tmp_path.glob('new*'))
