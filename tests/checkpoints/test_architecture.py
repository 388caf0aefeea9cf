"""What a file says of its architecture is used; the rest is asked for."""
import json
import warnings

import pytest
import torch
import torch.nn.functional as F
from small_runs import WIDTH, assert_same_features, make_run

from dora_mm import checkpoints
from dora_mm.checkpoints.architecture import fit
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


def assert_refused(path, folder, message):
    """By all that reads weights."""
    for work in (
            lambda: load_backbone(path),
            lambda: checkpoints.publish(path, folder / 'p', build_backbone),
            lambda: checkpoints.convert(path, folder / 't', 'timm',
                                        build_backbone)):
        with pytest.raises(ValueError, match=message):
            work()


@pytest.mark.parametrize(('value', 'message'), [
    (torch.full((WIDTH, ), float('nan')), 'not finite.*got nan at'),
    (torch.ones(WIDTH + 1), r'must have the shape .* but got \(65,\)'),
    ('text', 'must be a tensor'),
    (torch.ones(WIDTH, dtype=torch.int64), 'a dense .* of torch.int64: take'),
])
def test_weights_that_cannot_be_are_refused(tmp_path, evaluate, image_set,
                                            value, message):
    """Rows H8 and H14, with the file and the key."""
    path = tmp_path / 'run.pth'
    make_run(path)
    spoil(path, 'teacher.backbone.layers.1.ln2.bias', value)
    message = rf'run\.pth: .*teacher.backbone.layers.1.ln2.bias.*{message}'
    assert_refused(path, tmp_path, message)
    with pytest.raises(ValueError, match=message):
        evaluate('knn_imagenet', path, image_set[0])


def quantised(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it is on its way out
        return torch.quantize_per_tensor(tensor, .1, 0, torch.qint8)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda x: x.to(torch.int8), 'torch.int8'),
    (lambda x: x > 0, 'torch.bool'),
    (lambda x: x.to(torch.complex64), 'torch.complex64'),
    (lambda x: x.to(torch.float8_e4m3fn), 'torch.float8_e4m3fn'),
    (lambda x: x.to_sparse(), 'torch.float32, torch.sparse_coo'),
    (lambda x: x.to('meta'), 'torch.float32, empty, on the meta device'),
    (quantised, 'torch.qint8, quantised'),
])
def test_numbers_that_are_no_weights_are_refused(tmp_path, change, message):
    """The first three were published; of the others torch complained."""
    path = tmp_path / 'run.pth'
    make_run(path)
    name = 'teacher.backbone.layers.1.ffn.layers.1.weight'
    weight = torch.load(path, weights_only=True)['state_dict'][name]
    spoil(path, name, change(weight))
    message = rf'run\.pth: {name} must be .* but got a tensor of {message}: t'
    assert_refused(path, tmp_path, message)


def test_a_whole_model_takes_no_other_numbers_as_weights():
    state = dict(torch.nn.BatchNorm1d(2).state_dict())
    fit(torch.nn.BatchNorm1d(2), state, 'a.pth')  # which counts in integers
    state['weight'] = state['weight'].long()
    with pytest.raises(ValueError, match='weight is a tensor of torch.int64'):
        fit(torch.nn.BatchNorm1d(2), state, 'a.pth')


@pytest.mark.parametrize('dtype',
                         [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_and_counters_beside_them_are_taken(tmp_path, dtype):
    path = tmp_path / 'run.pth'
    make_run(path)
    data = torch.load(path, weights_only=True)
    state = {k: v.to(dtype) for k, v in data['state_dict'].items()}
    state['neck.num_batches_tracked'] = torch.tensor(7)
    torch.save(dict(data, state_dict=state), path)
    published = checkpoints.publish(path, tmp_path / 'p', build_backbone).path
    found = torch.load(published, weights_only=True)['state_dict']
    for name, tensor in found.items():
        assert torch.equal(tensor, state[f'teacher.{name}']), name


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
