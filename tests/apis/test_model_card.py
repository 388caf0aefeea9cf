"""The folder for Hugging Face beside a published file."""
import hashlib

import pytest
import torch
from tiny import build_model, model_cfg
from video_factory import write_video

from dora_mm.apis.model_card import write_card
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
                cfg=f'model = {model_cfg()!r}\n',
                iter=12,
                epoch=3,
                seed=5,
                mmengine_version='0.10.12',
                dataset_meta=dict(
                    videos=[str(write_video(tmp_path / 'walk.mp4', 10))]))),
        path)
    return path


def test_card_says_what_is_known(source, tmp_path):
    published = publish(source, tmp_path / 'vit.pth', build_backbone).path
    folder = write_card(source, published)
    assert folder == published.with_suffix('')
    card = (folder / 'README.md').read_text()
    assert hashlib.sha256(source.read_bytes()).hexdigest() in card
    for line in ('the teacher of iter_12.pth', '| steps | 12 |',
                 '| epochs | 3 |', '| seed | 5 |', '| walk.mp4 | ? |',
                 '3 layers, 48 channels and 4 heads', 'num_objects=2'):
        assert line in card, line
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


def test_little_is_said_of_a_bare_file(source, tmp_path):
    """Not invented: videos, steps and config of a published file."""
    first = publish(source, tmp_path / 'vit.pth', build_backbone).path
    second = publish(first, tmp_path / 'again.pth', build_backbone).path
    card = (write_card(first, second) / 'README.md').read_text()
    assert 'does not say what it was trained on' in card
    assert 'The checkpoint has none.' in card
