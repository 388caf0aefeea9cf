"""What a file says of its architecture is used; the rest is asked for."""
import json

import pytest
import torch
import torch.nn.functional as F
from small_runs import WIDTH, assert_same_features, make_run

from dora_mm import checkpoints
from dora_mm.models import DoRAViT, build_backbone, load_backbone


# 16 x 64 has as many patches as 32 x 32.
# Every pair of values is there; all 24 were run once.
@pytest.mark.parametrize(('heads', 'patch', 'size', 'eps'), [
    (1, 8, (32, 32), 1e-6),
    (8, 16, (32, 32), 1e-3),
    (1, 16, (16, 64), 1e-3),
    (8, 8, (16, 64), 1e-6),
    (1, 16, (32, 48), 1e-6),
    (8, 8, (32, 48), 1e-3),
])
def test_every_layout_and_back(tmp_path, heads, patch, size, eps):
    """Equal features, or a refusal that names what is missing."""
    pytest.importorskip('safetensors')
    run = tmp_path / 'run.pth'
    own = make_run(run, heads, patch, size, eps)
    published = checkpoints.publish(run, tmp_path / 'p.pth',
                                    build_backbone).path
    assert_same_features(load_backbone(run, pos_interp='size'), own, size)
    # What the code of these computes in one way only.
    missing = dict(timm=dict(norm_eps=eps == 1e-6))
    missing['dino'] = dict(
        img_size=size[0] == size[1],
        num_heads=heads == 1,
        norm_eps=eps == 1e-6)
    for source in (run, published):
        for to in ('hf', 'mmseg', 'dora_mm', 'timm', 'dino'):
            target = tmp_path / f'{to}_{source.stem}'
            refused = [k for k, fits in missing.get(to, {}).items()
                       if not fits]  # yapf: disable
            if refused:
                with pytest.raises(ValueError, match='|'.join(refused)):
                    checkpoints.convert(source, target, to, build_backbone)
                assert not target.exists()
                continue
            checkpoints.convert(source, target, to, build_backbone)
            known = {}
            if to == 'timm':  # no place to say it
                with pytest.raises(
                        ValueError, match='--num-heads, --img-size'):
                    load_backbone(target)
                known = dict(num_heads=heads, img_size=list(size))
            back = tmp_path / f'back_{target.name}'
            checkpoints.convert(target, back, 'dora_mm', build_backbone,
                                **known)
            for path, said in ((target, known), (back, {})):
                found = load_backbone(path, pos_interp='size', **said)
                assert_same_features(found, own, size)


def test_heads_of_the_config_are_published(tmp_path):
    """Row C1: 64 channels and 8 heads, which shapes do not show."""
    own = make_run(tmp_path / 'run.pth', heads=8, act='ReLU')
    report = checkpoints.publish(tmp_path / 'run.pth', tmp_path / 'p.pth',
                                 build_backbone)
    arch = torch.load(report.path, weights_only=True)['meta']['arch']
    assert (arch['num_heads'], arch['activation']) == (8, 'relu')
    assert_same_features(load_backbone(report.path, pos_interp='size'), own,
                         (32, 32))


@pytest.mark.parametrize(('settings', 'message'), [
    (dict(act=dict(approximate='tanh')), "but got .GELU.approximate=.*tanh"),
    (dict(patch_cfg=dict(padding=2)), 'a plain ViT, with patches side by si'),
    (dict(norm_cfg=dict(type='LN2d')), 'that are alike, LayerNorm and bicubi'),
    (dict(interpolate_mode='bilinear'), 'and bicubic position embeddings: an'),
    (dict(layer_scale_init_value=.1), 'unused keys .4.:(?s:.*).gamma1.weight'),
    (dict(qkv_bias=False), r'missing keys .2.:(?s:.*)attn\.qkv\.bias'),
    (dict(final_norm=False), 'missing keys .2.:(?s:.*)backbone.norm.weight'),
])
def test_what_a_stock_vit_cannot_compute_is_refused(tmp_path, settings,
                                                    message):
    """The first two change no shape and no name; loading compared nothing."""
    settings = dict(settings)
    act = settings.pop('act', {})
    make_run(
        tmp_path / 'run.pth',
        layer_cfgs=dict(act_cfg=dict(type='GELU', **act)),
        **settings)
    for work in (lambda path: load_backbone(path),
                 lambda path: checkpoints.publish(path, tmp_path / 'p.pth',
                                                  build_backbone)):
        with pytest.raises(ValueError, match=message):
            work(tmp_path / 'run.pth')


def test_what_nobody_says_is_asked_for(tmp_path):
    make_run(tmp_path / 'run.pth', say=False)
    for work in (lambda path: load_backbone(path),
                 lambda path: checkpoints.publish(path, tmp_path / 'p.pth',
                                                  build_backbone)):
        with pytest.raises(
                ValueError, match='--num-heads, --img-size, --norm-eps, '):
            work(tmp_path / 'run.pth')
    # a wrong answer is refused where the file knows better
    make_run(tmp_path / 'run.pth')
    with pytest.raises(ValueError, match='num_heads must be 2'):
        load_backbone(tmp_path / 'run.pth', num_heads=4)


def test_verification_does_not_share_the_guess(tmp_path, monkeypatch):
    """Row C2: 2 x 8 patches described as 4 x 4 do not pass."""
    make_run(tmp_path / 'run.pth', size=(16, 64))
    from dora_mm.checkpoints import publishing
    read = publishing.read_architecture

    def wrong(*args):
        arch, own = read(*args)
        return dict(arch, img_size=(32, 32)), own

    monkeypatch.setattr(publishing, 'read_architecture', wrong)
    with pytest.raises(ValueError, match='does not compute'):
        checkpoints.publish(tmp_path / 'run.pth', tmp_path / 'p.pth',
                            build_backbone)


def test_position_embeddings_are_resized_by_grid(tmp_path):
    """Row C3: a 4 x 4 grid into 2 x 8 of as many patches."""
    own = make_run(tmp_path / 'run.pth')
    path = checkpoints.publish(tmp_path / 'run.pth', tmp_path / 'p.pth',
                               build_backbone).path
    grid = own.pos_embed[:, 1:].detach().mT.unflatten(2, (4, 4))
    expected = F.interpolate(
        grid, size=(2, 8), mode='bicubic', align_corners=False)
    arch = dict(
        embed_dims=WIDTH, num_layers=2, num_heads=2, feedforward_channels=96)
    loaded = DoRAViT(
        arch,
        img_size=(16, 64),
        patch_size=8,
        init_cfg=dict(
            type='Pretrained', checkpoint=str(path), prefix='backbone.'))
    loaded.init_weights()
    stated = DoRAViT(arch, img_size=(16, 64), patch_size=8)
    stated.load_state_dict(own.state_dict())  # which says its grid
    for vit in (loaded, stated):
        torch.testing.assert_close(vit.pos_embed[:, 1:].detach(),
                                   expected.flatten(2).mT)


def spoil(path, name, value):
    data = torch.load(path, weights_only=True)
    data['state_dict'][name] = value
    torch.save(data, path)


@pytest.mark.parametrize(('value', 'message'), [
    (torch.full((WIDTH, ), float('nan')), 'not finite.*got nan at'),
    (torch.ones(WIDTH + 1), r'must have the shape .* but got \(65,\)'),
    ('text', 'must be a tensor'),
])
def test_weights_that_cannot_be_are_refused(tmp_path, evaluate, image_set,
                                            value, message):
    """Rows H8 and H14, with the file and the key."""
    path = tmp_path / 'run.pth'
    make_run(path)
    spoil(path, 'teacher.backbone.layers.1.ln2.bias', value)
    message = rf'run\.pth: .*teacher.backbone.layers.1.ln2.bias.*{message}'
    for work in (
            lambda: load_backbone(path),
            lambda: checkpoints.publish(path, tmp_path / 'p', build_backbone),
            lambda: checkpoints.convert(path, tmp_path / 't', 'timm',
                                        build_backbone)):
        with pytest.raises(ValueError, match=message):
            work()
    with pytest.raises(ValueError, match=message):
        evaluate('knn_imagenet', path, image_set[0])


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('model.safetensors', b'\xff' * 64, 'must be a safetensors file'),
    ('config.json', b'{"model_type": ', 'must be a JSON file'),
    ('config.json', b'[]', "must have the model_type 'vit'"),
    ('config.json', dict(num_attention_heads='two'), 'num_heads must be'),
    ('config.json', dict(num_hidden_layers=1), 'must be 2, .* but got 1'),
    ('config.json', dict(qkv_bias=False), 'qkv_bias .* must be True'),
    ('config.json', dict(patch_size=4), 'patch_size .* but got 4'),
])
def test_damaged_folders_of_hugging_face_are_refused(tmp_path, name, content,
                                                     message):
    pytest.importorskip('safetensors')
    make_run(tmp_path / 'run.pth')
    checkpoints.convert(tmp_path / 'run.pth', tmp_path / 'hf', 'hf',
                        build_backbone)
    path = tmp_path / 'hf' / name
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content).encode()
    path.write_bytes(content)
    for work in (lambda: load_backbone(tmp_path / 'hf'),
                 lambda: checkpoints.convert(tmp_path / 'hf', tmp_path / 't',
                                             'timm', build_backbone)):
        with pytest.raises(ValueError, match=message):
            work()
