from functools import partial

import pytest
import torch
from tiny import build_model, model_cfg

from dora_mm import checkpoints, config_path
from dora_mm.models import (ColourHistogram, FrozenEncoder, build_backbone,
                            load_backbone)

convert = partial(checkpoints.convert, build=build_backbone)
publish = partial(checkpoints.publish, build=build_backbone)

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))

ARCH = dict(num_heads=4, img_size=32, norm_eps=1e-6, activation='gelu')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run's checkpoint whose teacher and student differ, and its model."""
    model = build_model().eval()
    with torch.no_grad():
        for param in model.teacher['backbone'].parameters():
            param.mul_(0.7)
    path = tmp_path_factory.mktemp('run') / 'iter_1.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(iter=1)), path)
    return path, model


@pytest.mark.parametrize('key', ['teacher', 'student'])
@torch.no_grad()
def test_every_layout_gives_the_same_features(run, tmp_path, key):
    path, model = run
    published = publish(path, tmp_path / 'p.pth', key=key, **ARCH).path
    timm = convert(
        path, tmp_path / 't.pth', 'timm', key=key, **ARCH).path
    network = model.teacher['backbone'] if key == 'teacher' \
        else model.backbone
    expected = network(IMAGES)[-1]
    # a published file knows its architecture
    for source, arch in ((path, ARCH), (published, {}), (timm, ARCH)):
        backbone = load_backbone(str(source), key=key, **arch)
        encoder = FrozenEncoder(backbone,
                                dict(type='mmengine.ImgDataPreprocessor'))
        torch.testing.assert_close(encoder(IMAGES), expected)
        assert backbone.patch_size == 8 and not backbone.training


def test_random_weights_are_those_of_the_seed(tmp_path):
    config = config_path('dora/vit-t16_demo.py')
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = [{config!r}]\nrandomness = dict(seed=1)\n')
    torch.manual_seed(1)
    first = load_backbone(config)
    torch.manual_seed(2)
    second, third = load_backbone(config), load_backbone(str(other))
    state = second.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in first.state_dict().items())
    assert not torch.equal(third.cls_token, first.cls_token)
    out = first(torch.randn(1, 3, 64, 48))[-1]
    assert out.shape == (1, 1 + 4 * 3, 192)


@pytest.mark.parametrize(('source', 'message'), [
    (None, 'give a checkpoint'),
    ('no.py', 'no.py is not a file'),
    ('no.pth', 'no.pth is not a file'),
])
def test_mistakes_are_named(source, message):
    with pytest.raises(ValueError, match=message):
        load_backbone(source)


def test_encoder_has_no_loss(run):
    encoder = FrozenEncoder(model_cfg()['backbone'],
                            dict(type='mmengine.ImgDataPreprocessor'))
    with pytest.raises(ValueError, match="no mode 'loss'"):
        encoder(IMAGES, mode='loss')


def test_colour_histogram_shares_pixels_between_bins():
    mean, std = (10., 20., 30.), (2., 3., 4.)
    model = ColourHistogram(patch_size=2, num_bins=3, mean=mean, std=std)
    # bins at 0, 127.5 and 255: a red between the first two, others in a bin
    pixel = torch.tensor([63.75, 255., 0.]).reshape(3, 1, 1)
    image = torch.zeros(3, 2, 4)
    image[:, :, 2:] = pixel
    image = (image - model.mean) / model.std
    tokens = model(image[None])[0][0]
    expected = torch.zeros(3, 3, 3, 3)
    expected[1, 0, 0, 0] = 1
    expected[2, :2, 2, 0] = 0.5
    expected[0] = expected[1:].mean(0)
    torch.testing.assert_close(tokens**2, expected.reshape(3, 27))
