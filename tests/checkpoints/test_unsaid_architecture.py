"""What nobody says is asked for, and a guess gives way to the user."""
from functools import partial

import pytest
import torch
from small_runs import assert_same_features, make_run

from dora_mm import checkpoints
from dora_mm.models import build_backbone, load_backbone

convert = partial(checkpoints.convert, build=build_backbone)
publish = partial(checkpoints.publish, build=build_backbone)
UNSAID = dict(norm_eps=1e-6, activation='gelu')


@pytest.mark.parametrize(('to', 'options'), [
    ('dino', '--num-heads, --img-size, --norm-eps, --activation'),
    ('timm', 'give --norm-eps, --activation'),
])
def test_a_layout_that_fixes_it_asks_for_it(tmp_path, to, options):
    """Eight heads became one, ReLU became GELU, without a word."""
    own = make_run(tmp_path / 'run.pth', say=False, heads=1)
    with pytest.raises(ValueError, match=f'{options} as it was trained'):
        convert(tmp_path / 'run.pth', tmp_path / 'to.pth', to)
    said = dict(num_heads=1, img_size=32, **UNSAID)
    for name, value in (('activation', 'relu'), ('norm_eps', 1e-5)):
        with pytest.raises(ValueError, match=f'{name} must be .* in the lay'):
            convert(tmp_path / 'run.pth', tmp_path / 'to.pth', to,
                    **dict(said, **{name: value}))
    assert not (tmp_path / 'to.pth').exists()
    convert(tmp_path / 'run.pth', tmp_path / 'to.pth', to, **said)
    known = dict(num_heads=1, img_size=32) if to == 'timm' else {}
    assert_same_features(
        load_backbone(tmp_path / 'to.pth', pos_interp='size', **known), own,
        (32, 32))


def test_heads_that_dino_cannot_have_are_refused(tmp_path):
    make_run(tmp_path / 'run.pth', say=False, heads=8)
    with pytest.raises(ValueError, match="num_heads must be 1 .*but got 8"):
        convert(tmp_path / 'run.pth', tmp_path / 'to', 'dino', num_heads=8)


@pytest.mark.parametrize('to', ['mmseg', 'dora_mm'])
@pytest.mark.parametrize('key', [None, 'student'])
def test_a_part_that_was_said_is_no_statement_of_the_rest(tmp_path, to, key):
    """With the heads a file claimed an epsilon and an activation."""
    own = make_run(
        tmp_path / 'run.pth', say=False, heads=8, eps=1e-3, act='ReLU')
    convert(
        tmp_path / 'run.pth',
        tmp_path / 'part.pth',
        to,
        key=key,
        num_heads=8,
        img_size=32)
    with pytest.raises(ValueError, match='give --norm-eps, --activation'):
        publish(
            tmp_path / 'part.pth', tmp_path / 'p.pth', key=key or 'teacher')
    path = publish(
        tmp_path / 'part.pth',
        tmp_path / 'p.pth',
        key=key or 'teacher',
        norm_eps=1e-3,
        activation='relu').path
    assert_same_features(load_backbone(path, pos_interp='size'), own, (32, 32))


def test_an_old_published_backbone_needs_no_option(tmp_path):
    own = make_run(tmp_path / 'run.pth', heads=8)
    path = publish(tmp_path / 'run.pth', tmp_path / 'p.pth').path
    data = torch.load(path, weights_only=True)
    for name in UNSAID:
        del data['meta']['arch'][name]
    torch.save(data, tmp_path / 'old.pth')
    assert_same_features(
        load_backbone(tmp_path / 'old.pth', pos_interp='size'), own, (32, 32))
    again = publish(
        tmp_path / 'old.pth', tmp_path / 'again.pth', norm_eps=1e-3).path
    arch = torch.load(again, weights_only=True)['meta']['arch']
    assert (arch['norm_eps'], arch['activation']) == (1e-3, 'gelu')


def authors(path, network=None, **run):
    """A file with the authors' names, and the network that is in it."""
    own = make_run(path, **run)
    said = dict(num_heads=run['heads'], img_size=run['size'])
    convert(path, path.with_name('timm.pth'), 'timm')
    state = {
        f'backbone.{name}': tensor
        for name, tensor in torch.load(
            path.with_name('timm.pth'), weights_only=True).items()
    }
    # of DINO's code, which has this beside every backbone
    state['head.last_layer.weight_g'] = torch.ones(24, 1)
    torch.save({network: state} if network else state, path)
    return own, said


@pytest.mark.parametrize('network', ['teacher', 'student', None])
def test_files_of_dino_need_no_option_but_take_it(tmp_path, network):
    """The true grid and heads were refused as not what the file says."""
    path, key = tmp_path / 'a.pth', network or 'teacher'
    own, _ = authors(path, network, heads=1, size=(32, 32))
    assert_same_features(
        load_backbone(path, key, pos_interp='size'), own, (32, 32))
    own, said = authors(path, network, heads=8, size=(16, 64))
    assert_same_features(
        load_backbone(path, key, pos_interp='size', **said), own, (16, 64))
    published = publish(path, tmp_path / 'p.pth', key=key, **said).path
    assert_same_features(
        load_backbone(published, pos_interp='size'), own, (16, 64))
    # the result states it
    with pytest.raises(ValueError, match='num_heads must be 8, which the ch'):
        load_backbone(published, num_heads=1)


@pytest.mark.parametrize('network', ['teacher', None])
def test_names_alone_show_neither_heads_nor_grid(tmp_path, network):
    """MoCo's ViT-S of 12 heads was published with six."""
    path = tmp_path / 'a.pth'
    own, said = authors(path, network, heads=8, size=(16, 64))
    data = torch.load(path, weights_only=True)
    del (data[network] if network else data)['head.last_layer.weight_g']
    torch.save(data, path)
    with pytest.raises(ValueError, match='give --num-heads, --img-size as'):
        publish(path, tmp_path / 'p.pth')
    published = publish(path, tmp_path / 'p.pth', **said).path
    assert_same_features(
        load_backbone(published, pos_interp='size'), own, (16, 64))
