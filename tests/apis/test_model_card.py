"""The folder for Hugging Face beside a published file."""
import hashlib
import inspect
import runpy
import shutil
import sys
from argparse import Namespace
from types import ModuleType

import pytest
import torch
from clean_python import ROOT
from tiny import build_model, model_cfg

from dora_mm.apis.model_card import write_card
from dora_mm.apis.push_to_hub import push_to_hub
from dora_mm.checkpoints import publish
from dora_mm.checkpoints.huggingface import read_hf
from dora_mm.models import build_backbone


@pytest.fixture
def source(tmp_path):
    """A run of 12 steps on a video."""
    path = tmp_path / 'iter_12.pth'
    torch.save(
        dict(
            state_dict=build_model().state_dict(),
            meta=dict(
                cfg=f'base_lr = 0.125\nmodel = {model_cfg()!r}\n',
                iter=12,
                epoch=3,
                seed=5,
                mmengine_version='0.10.12',
                run=dict(
                    videos=[['walk.mp4', 123, 'abcdef']],
                    versions=dict(dora_mm='0.0.9', torch='2.9.1')),
                dataset_meta=dict(
                    videos=['elsewhere/walk.mp4'],
                    num_frames=[500],
                    frames_left_out=[7]))), path)
    return path


def test_card_says_what_is_known(source, tmp_path):
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    folder = write_card(source, published)
    assert folder == published.with_suffix('')
    card = (folder / 'README.md').read_text()
    assert hashlib.sha256(source.read_bytes()).hexdigest() in card
    for line in ('the teacher of iter_12.pth', '| steps | 12 |',
                 '| seed | 5 |', '| torch | 2.9.1 |',
                 '| trained by dora_mm | 0.0.9 |',
                 '| walk.mp4 | 123 | abcdef | 500 | 7 |',
                 'No result was found beside the checkpoint',
                 '3 layers, 48 channels and 4 heads', 'num_objects=2'):
        assert line in card, line
    assert 'base_lr' not in card  # of the file, which the run does not read
    # the weights are those of the published file, under other names
    state = torch.load(published, weights_only=True)['state_dict']
    found = read_hf(folder)['state_dict']
    assert torch.equal(found['embeddings.cls_token'],
                       state['backbone.cls_token'])
    with pytest.raises(ValueError, match='must be a new folder'):
        write_card(source, published)


def test_transformers_computes_the_same(source, tmp_path):
    """Where it is installed: tokens after the final norm, to rounding."""
    transformers = pytest.importorskip('transformers')
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    folder = write_card(source, published)
    model = transformers.ViTModel.from_pretrained(
        folder, add_pooling_layer=False).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.manual_seed(0))
    backbone = build_model().teacher['backbone'].eval()
    backbone.out_type = 'raw'
    with torch.no_grad():
        found = model(images).last_hidden_state
        expected = backbone(images)[-1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_timm_computes_the_same(source, tmp_path):
    """Where it is installed, as the card tells to load it."""
    timm = pytest.importorskip('timm')
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    folder = write_card(source, published)
    assert "f'local-dir:{folder}/timm'" in (folder / 'README.md').read_text()
    model = timm.create_model(
        f'local-dir:{folder}/timm', pretrained=True).eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.manual_seed(0))
    backbone = build_model().teacher['backbone'].eval()
    backbone.out_type = 'raw'
    with torch.no_grad():
        found = model.forward_features(images)
        expected = backbone(images)[-1]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    # ImageNet's normalisation of inputs from 0 to 1
    assert model.pretrained_cfg['mean'][0] == pytest.approx(0.485)
    assert model.pretrained_cfg['std'][2] == pytest.approx(0.225)


def test_what_timm_cannot_compute_is_said(source, tmp_path):
    """Its ViT has one epsilon; timm's would compute something else."""
    checkpoint = torch.load(source, weights_only=False)
    model = model_cfg(backbone=dict(norm_cfg=dict(type='LN', eps=1e-5)))
    checkpoint['meta']['cfg'] = f'model = {model!r}\n'
    torch.save(checkpoint, source)
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    folder = write_card(source, published)
    assert not (folder / 'timm').exists()
    assert 'timm cannot compute the same: norm_eps must be 1e-06' in (
        folder / 'README.md').read_text()


def test_evaluations_of_these_weights_are_in_the_card(source, tmp_path):
    """By the hash that dora-mm test writes, wherever it was run."""
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    other = tmp_path / 'other.pth'
    other.write_bytes(b'other weights')
    report = runpy.run_path(str(ROOT / 'tools/test.py'))['report']
    for name, file, value in (('a', source, 41.5), ('b', published, 42.25),
                              ('c', other, 99.)):
        report({'knn/k20_top1': value},
               Namespace(
                   config='configs/evaluation/knn_cifar10-mini.py',
                   checkpoint=str(file),
                   key='teacher'), Namespace(work_dir=str(tmp_path / name)))
    (tmp_path / 'd').mkdir()
    (tmp_path / 'd/results.json').write_text('[of another program]')
    card = (write_card(source, published) / 'README.md').read_text()
    who = 'who wrote this card, with dora-mm test'
    for value, file in (('41.500', source), ('42.250', published)):
        assert (f'| knn_cifar10-mini | knn/k20_top1 | {value} | {file.name} '
                f'| {who} |') in card
    assert '99.000' not in card and 'No result' not in card


def test_upload(source, tmp_path, monkeypatch):
    """Against a hub that is a folder; huggingface_hub's own names of
    arguments where it is installed."""
    with pytest.raises(ValueError, match='must be USER/NAME, but got vit'):
        push_to_hub(tmp_path, 'vit')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match='pip install huggingface_hub'):
        push_to_hub(tmp_path, 'me/vit')
    monkeypatch.undo()
    hub = tmp_path / 'hub'

    class FakeApi:

        def create_repo(self, repo_id, *, private, exist_ok):
            (hub / repo_id).mkdir(parents=True, exist_ok=exist_ok)
            assert private is True
            return f'https://hub/{repo_id}'

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            shutil.copytree(folder_path, hub / repo_id, dirs_exist_ok=True)
            assert 'dora_mm' in commit_message

    try:
        import huggingface_hub
        for name in ('create_repo', 'upload_folder'):
            own, fake = (
                inspect.signature(getattr(api, name)).parameters
                for api in (huggingface_hub.HfApi, FakeApi))
            assert set(fake) <= set(own)
    except ImportError:
        huggingface_hub = ModuleType('huggingface_hub')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', huggingface_hub)
    monkeypatch.setattr(huggingface_hub, 'HfApi', FakeApi, raising=False)
    with pytest.raises(ValueError, match='must hold a README.md'):
        push_to_hub(tmp_path, 'me/vit')
    main = runpy.run_path(str(ROOT / 'tools/publish_backbone.py'))['main']
    main([
        str(source),
        str(tmp_path / 'vit.pth'), '--push-to-hub', 'me/vit'
    ])
    local, = (path for path in tmp_path.glob('vit_*') if path.is_dir())
    names = {path.relative_to(local) for path in local.rglob('*')}
    assert {'README.md', 'model.safetensors', 'config.json', 'timm'
            } <= set(map(str, names))
    assert {p.relative_to(hub / 'me/vit')
            for p in (hub / 'me/vit').rglob('*')} == names


def test_little_is_said_of_a_bare_file(source, tmp_path):
    """Not invented: videos, steps and config of a published file."""
    first = publish(source, tmp_path / 'vit.pth', build_backbone).path
    second = publish(first, tmp_path / 'again.pth', build_backbone).path
    card = (write_card(first, second) / 'README.md').read_text()
    assert 'does not say what it was trained on' in card
    assert 'The checkpoint has none.' in card
