import json
import os
from collections import OrderedDict
from functools import partial
from pathlib import Path

import pytest
import torch

from dora_mm import checkpoints
from dora_mm.checkpoints import conversion, sniff
from dora_mm.models import build_backbone

convert = partial(checkpoints.convert, build=build_backbone)
publish = partial(checkpoints.publish, build=build_backbone)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def slow_vit(state, images, num_heads):
    """[CLS] after the final norm from the authors' keys, head by head."""

    def norm(x, name):
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
        return x * state[name + '.weight'] + state[name + '.bias']

    def linear(x, name):
        return x @ state[name + '.weight'].T + state[name + '.bias']

    size = state['patch_embed.proj.weight'].shape[-1]
    rows = images.split(size, dim=2)
    patches = [p.flatten(1) for row in rows for p in row.split(size, dim=3)]
    tokens = torch.stack(patches,
                         1) @ state['patch_embed.proj.weight'].flatten(
                             1).T + state['patch_embed.proj.bias']
    x = torch.cat([state['cls_token'].expand(len(images), 1, -1), tokens], 1)
    x = x + state['pos_embed']
    width = x.shape[-1]
    each = width // num_heads
    depth = 1 + max(int(k.split('.')[1]) for k in state if k[:6] == 'blocks')
    for i in range(depth):
        qkv = linear(norm(x, f'blocks.{i}.norm1'), f'blocks.{i}.attn.qkv')
        heads = []
        for head in range(num_heads):
            q, k, v = (
                qkv[..., part * width + head * each:][..., :each]
                for part in range(3))
            heads.append((q @ k.mT / each**0.5).softmax(-1) @ v)
        x = x + linear(torch.cat(heads, -1), f'blocks.{i}.attn.proj')
        y = linear(norm(x, f'blocks.{i}.norm2'), f'blocks.{i}.mlp.fc1')
        y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
        x = x + linear(y, f'blocks.{i}.mlp.fc2')
    return norm(x, 'norm')[:, 0]


def test_round_trip_is_bit_equal(make_authors, save, tmp_path):
    authors = make_authors()
    ours, back = tmp_path / 'ours.pth', tmp_path / 'back.pth'
    report = convert(save(authors), ours, 'dora_mm')
    assert report.source_layout == 'dino'
    assert report.dropped == ['optimizer', 'epoch', 'args']
    # 6 + 12 per block and 8 of the head, for two networks, and the centre
    assert len(report.rows) == 2 * (6 + 12 * 2 + 8) + 1
    assert ('teacher.head.last_layer.weight_g',
            'state_dict.teacher.neck.last_layer.parametrizations.weight.'
            'original0', (24, 1)) in report.rows
    for source, target, _ in report.rows:
        assert f'{source} ' in str(report) and target in str(report)

    assert convert(ours, back, 'dino').source_layout == 'dora_mm'
    found = torch.load(back, weights_only=True)
    for part in ('student', 'teacher', 'dino_loss'):
        assert_same(found[part], authors[part])
    assert found['epoch'] == 7


def test_converted_file_starts_our_model(make_authors, save, tmp_path):
    from dora_mm.models import DINONeck, DoRALoss, DoRAViT
    authors = make_authors()
    convert(save(authors), tmp_path / 'ours.pth', 'dora_mm')
    state = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    parts = {
        '':
        DoRAViT(
            arch=dict(
                embed_dims=64,
                num_layers=2,
                num_heads=1,
                feedforward_channels=256),
            img_size=32),
        'teacher.':
        DINONeck(64, 24, 32, 16),
        'loss_module.':
        DoRALoss(out_channels=24)
    }
    names = {'': 'backbone.', 'teacher.': 'neck.', 'loss_module.': ''}
    for prefix, part in parts.items():
        start = prefix + names[prefix]
        part.load_state_dict(
            {
                k[len(start):]: v
                for k, v in state.items() if k.startswith(start)
            },
            strict=True)
    # the head computes what the authors' old-style weight norm defines
    head = {
        k[len('head.'):]: v
        for k, v in authors['teacher'].items() if k.startswith('head.')
    }
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    y = x
    for layer in (0, 2, 4):
        y = y @ head[f'mlp.{layer}.weight'].T + head[f'mlp.{layer}.bias']
        if layer < 4:
            y = 0.5 * y * (1 + torch.erf(y / 2**0.5))
    y = y / y.norm(dim=-1, keepdim=True)
    v = head['last_layer.weight_v']
    weight = head['last_layer.weight_g'] * v / v.norm(dim=1, keepdim=True)
    torch.testing.assert_close(
        parts['teacher.'](x), y @ weight.T, rtol=1e-5, atol=1e-6)


def test_stock_vit_computes_what_the_authors_keys_define(
        make_backbone, save, tmp_path):
    from mmpretrain.models import VisionTransformer
    state = make_backbone(width=192, depth=12, patches=196)
    report = convert(
        save(state), tmp_path / 'ours.pth', 'dora_mm', key='student')
    assert report.source_layout == 'timm'
    assert report.error < 1e-5
    vit = VisionTransformer(
        arch='deit-tiny',
        img_size=224,
        patch_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint=str(tmp_path / 'ours.pth'),
            prefix='backbone.'))
    vit.init_weights()
    vit.eval()
    images = torch.randn((1, 3, 224, 224),
                         generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(
            vit(images)[-1], slow_vit(state, images, 3), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('key', [None, 'teacher', 'student'])
def test_timm_has_the_authors_backbone_names(make_authors, save, tmp_path,
                                             key):
    authors = make_authors()
    report = convert(save(authors), tmp_path / 'timm.pth', 'timm', key=key)
    source = 'student' if key == 'student' else 'teacher'
    expected = {
        k.replace('module.', '')[len('backbone.'):]: v
        for k, v in authors[source].items() if 'backbone.' in k
    }
    assert_same(torch.load(tmp_path / 'timm.pth', weights_only=True), expected)
    assert 'dino_loss.center' in report.dropped
    assert len(report.dropped) == 3 + 8 + 1 + len(expected) + 8


def test_bare_network_becomes_student_and_teacher(make_authors, save,
                                                  tmp_path):
    # both weight norms occur in either layout; DDP's prefix does not matter
    authors = make_authors()['student']
    bare = OrderedDict(
        (k.replace('last_layer.weight_g',
                   'last_layer.parametrizations.weight.original0').replace(
                       'last_layer.weight_v',
                       'last_layer.parametrizations.weight.original1'), v)
        for k, v in authors.items())
    assert sniff(bare) == 'dino_state'
    convert(save(bare), tmp_path / 'dino.pth', 'dino')
    found = torch.load(tmp_path / 'dino.pth', weights_only=True)
    assert_same(found['student'], authors)
    assert_same(found['teacher'], {
        k[len('module.'):]: v
        for k, v in authors.items()
    })
    assert 'dino_loss' not in found


def test_strict_errors_list_the_keys(make_authors, save, tmp_path):
    authors = make_authors()
    del authors['student']['module.backbone.blocks.1.attn.qkv.bias']
    authors['teacher']['backbone.blocks.0.ls1.gamma'] = torch.ones(64)
    authors['teacher']['predictor.weight'] = torch.ones(2)
    target = tmp_path / 'ours.pth'
    with pytest.raises(ValueError) as error:
        convert(save(authors), target, 'dora_mm')
    for text in ('missing keys (1)', 'student.backbone.blocks.1.attn.qkv.bias',
                 'unused keys (2)', 'teacher.backbone.blocks.0.ls1.gamma',
                 'teacher.predictor.weight'):
        assert text in str(error.value)
    assert sorted(os.listdir(tmp_path)) == ['source.pth']


def test_a_missing_block_is_missing(make_backbone, save, tmp_path):
    state = make_backbone(depth=3)
    for name in [n for n in state if n.startswith('blocks.1.')]:
        del state[name]
    with pytest.raises(ValueError, match=r'missing keys \(12\)'):
        convert(save(state), tmp_path / 'ours.pth', 'dora_mm')


@pytest.mark.parametrize('data, message', [
    ([1, 2], 'must be a dict'),
    (dict(state_dict={'layer1.weight': torch.ones(1)}), 'layer1.weight'),
    (dict(teacher={}), 'has no backbone'),
    (dict(teacher={'backbone.cls_token': 'text'}), 'must be a tensor'),
])
def test_unknown_files_are_named(save, tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        convert(save(data), tmp_path / 'ours.pth', 'dora_mm')
    assert not (tmp_path / 'ours.pth').exists()


def test_bad_arguments(make_authors, make_backbone, save, tmp_path):
    authors = make_authors()
    target = tmp_path / 'out.pth'
    with pytest.raises(ValueError, match='to must be one of'):
        convert(save(authors), target, 'onnx')
    with pytest.raises(ValueError, match='does not exist'):
        convert(save(authors), tmp_path / 'no' / 'out.pth', 'timm')
    with pytest.raises(ValueError, match='is not a file'):
        convert(tmp_path / 'nothing.pth', target, 'timm')
    # the rest of a run's checkpoint would be lost
    source = Path(save(authors))
    content = source.read_bytes()
    with pytest.raises(ValueError, match='another file than SRC'):
        convert(source, source.parent / '.' / source.name, 'timm')
    assert source.read_bytes() == content
    del authors['student']
    with pytest.raises(ValueError, match="'student'.*'teacher'"):
        convert(save(authors), target, 'timm', key='student')
    # what a folder of Hugging Face must say is asked for
    with pytest.raises(ValueError, match='--num-heads, --img-size'):
        convert(save(make_backbone(width=48)), tmp_path / 'hf', 'hf')
    with pytest.raises(ValueError, match='the 5 patches of 16 pixels'):
        convert(
            save(make_backbone(patches=5)), target, 'timm', img_size=(32, 32))
    with pytest.raises(ValueError, match='must divide the 48 channels'):
        convert(save(make_backbone(width=48)), target, 'timm', num_heads=5)
    convert(save(make_backbone(width=48)), target, 'timm', num_heads=4)
    assert_same(torch.load(target, weights_only=True), make_backbone(width=48))


def test_failed_check_leaves_no_file(make_authors, save, tmp_path,
                                     monkeypatch):
    good = make_authors()
    convert(save(good), tmp_path / 'out.pth', 'dora_mm')
    before = (tmp_path / 'out.pth').read_bytes()

    bad = make_authors()
    bad['teacher']['backbone.norm.bias'][0] = float('nan')
    with pytest.raises(ValueError, match='not finite'):
        convert(save(bad), tmp_path / 'out.pth', 'dora_mm')
    assert (tmp_path / 'out.pth').read_bytes() == before

    # a write that changes a value is found by reading the file back
    write = conversion.write_tensors

    def wrong(groups, layout):
        output, rows = write(groups, layout)
        output['dino_loss']['center'][0, 0] += 1
        return output, rows

    monkeypatch.setattr(conversion, 'write_tensors', wrong)
    with pytest.raises(ValueError, match='loss.center changed'):
        convert(save(good), tmp_path / 'other.pth', 'dino')
    assert sorted(os.listdir(tmp_path)) == ['out.pth', 'source.pth']


def test_mmseg_vit_loads_it_and_gives_it_back(make_authors, save, tmp_path):
    backbones = pytest.importorskip('mmseg.models.backbones')
    authors = make_authors(patches=16)
    there, back = tmp_path / 'mmseg.pth', tmp_path / 'back.pth'
    convert(save(authors), there, 'mmseg')
    vit = backbones.VisionTransformer(
        img_size=64,
        embed_dims=64,
        num_layers=2,
        num_heads=1,
        norm_cfg=dict(type='LN', eps=1e-6),
        final_norm=True,
        patch_bias=True)
    data = torch.load(there, weights_only=True)
    vit.load_state_dict(data['state_dict'], strict=True)
    images = torch.randn((1, 3, 64, 64),
                         generator=torch.Generator().manual_seed(1))
    state = {
        k[len('backbone.'):]: v
        for k, v in authors['teacher'].items() if k.startswith('backbone.')
    }
    vit.output_cls_token = True
    vit.eval()  # returns None
    with torch.no_grad():
        cls_token = vit(images)[-1][1]
    torch.testing.assert_close(
        cls_token, slow_vit(state, images, 1), rtol=1e-5, atol=1e-5)
    assert convert(there, back, 'timm').source_layout == 'mmseg'
    assert_same(torch.load(back, weights_only=True), state)


def test_hugging_face_round_trip_is_bit_equal(make_backbone, save, tmp_path):
    files = pytest.importorskip('safetensors.torch')
    state = make_backbone()
    folder, back = tmp_path / 'hf', tmp_path / 'back.pth'
    report = convert(save(state), folder, 'hf', num_heads=1, img_size=32)
    assert report.path == folder and len(report.rows) == 6 + 12 * 2
    assert sorted(os.listdir(folder)) == ['config.json', 'model.safetensors']
    config = json.loads((folder / 'config.json').read_text())
    assert config['layer_norm_eps'] == 1e-6
    assert (config['hidden_size'], config['num_hidden_layers'],
            config['image_size']) == (64, 2, 32)
    # Query, key and value are the thirds of the joint matrix, in this order.
    stored = files.load_file(folder / 'model.safetensors')
    for i, name in enumerate(('query', 'key', 'value')):
        for kind in ('weight', 'bias'):
            assert torch.equal(
                stored[f'encoder.layer.1.attention.attention.{name}.{kind}'],
                state[f'blocks.1.attn.qkv.{kind}'][64 * i:64 * (i + 1)])
    # A classifier's file: its ViT has a prefix, its head is left out.
    stored = {f'vit.{k}': v for k, v in stored.items()}
    stored['classifier.weight'] = torch.ones(2, 64)
    files.save_file(stored, folder / 'model.safetensors')
    assert convert(folder, back, 'timm').source_layout == 'hf'
    assert_same(torch.load(back, weights_only=True), state)
    published = publish(folder, tmp_path / 'vit.pth').path
    assert torch.load(published, weights_only=True)['meta']['source'] == 'hf'


def test_hugging_face_mistakes_are_told(make_backbone, save, tmp_path):
    files = pytest.importorskip('safetensors.torch')
    source = save(make_backbone())
    (tmp_path / 'there').mkdir()
    with pytest.raises(ValueError, match='must be a new folder'):
        convert(source, tmp_path / 'there', 'hf', num_heads=1, img_size=32)
    with pytest.raises(ValueError, match='holds no model.safetensors'):
        convert(tmp_path / 'there', tmp_path / 'x.pth', 'timm')
    convert(source, tmp_path / 'hf', 'hf', num_heads=1, img_size=32)
    stored = files.load_file(tmp_path / 'hf' / 'model.safetensors')
    del stored['encoder.layer.1.output.dense.bias']
    files.save_file(stored, tmp_path / 'hf' / 'model.safetensors')
    with pytest.raises(ValueError, match='layer.1.output.dense.bias'):
        convert(tmp_path / 'hf', tmp_path / 'x.pth', 'timm')


@pytest.mark.parametrize('size', [(224, 224), (512, 512), (480, 832)])
def test_large_images_as_in_the_authors_code(make_backbone, save, tmp_path,
                                             size):
    """DINO's way to resize position embeddings, written out beside ours."""
    from dora_mm.models import DoRAViT
    state = make_backbone(patches=196)
    convert(save(state), tmp_path / 'ours.pth', 'dora_mm', key='student')
    vit = DoRAViT(
        dict(
            embed_dims=64, num_layers=2, num_heads=1,
            feedforward_channels=256),
        pos_interp='dino',
        init_cfg=dict(
            type='Pretrained',
            checkpoint=str(tmp_path / 'ours.pth'),
            prefix='backbone.'))
    vit.init_weights()
    images = torch.randn((1, 3, *size),
                         generator=torch.Generator().manual_seed(1))
    rows, columns = size[0] // 16 + 0.1, size[1] // 16 + 0.1
    grid = state['pos_embed'][:, 1:].reshape(1, 14, 14, 64)
    if size != (224, 224):
        grid = torch.nn.functional.interpolate(
            grid.permute(0, 3, 1, 2),
            scale_factor=(rows / 14, columns / 14),
            mode='bicubic').permute(0, 2, 3, 1)
    resized = torch.cat([state['pos_embed'][:, :1],
                         grid.reshape(1, -1, 64)],
                        dim=1)
    expected = slow_vit(dict(state, pos_embed=resized), images, 1)
    with torch.no_grad():
        found = vit.eval()(images)[-1]
    tolerance = 1e-5 if size == (224, 224) else 1e-4
    assert (found - expected).abs().max() < tolerance * expected.abs().max()
