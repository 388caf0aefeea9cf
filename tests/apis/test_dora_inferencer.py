from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny import build_model, model_cfg
from video_factory import write_video

from dora_mm import checkpoints, config_path
from dora_mm.apis import DoRAInferencer
from dora_mm.models import build_backbone

publish = partial(checkpoints.publish, build=build_backbone)

MEAN = np.array((123.675, 116.28, 103.53))
STD = np.array((58.395, 57.12, 57.375))
DEMO = config_path('dora/vit-t16_demo.py')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    model = build_model().eval()
    path = tmp_path_factory.mktemp('run') / 'iter_1.pth'
    cfg = f'default_scope = "mmpretrain"\nmodel = {model_cfg()!r}\n'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg)), path)
    return path, model


@pytest.fixture(scope='module')
def inferencer(run):
    return DoRAInferencer(
        str(run[0]), size=32, batch_size=3, device='cpu', num_heads=4)


def slow_attention(backbone, images):
    """softmax(q k^T / sqrt(d)) of the last layer, the matrix as a whole."""
    x, _ = backbone._embed(images)
    for layer in list(backbone.layers)[:-1]:
        x = layer(x)
    attn = backbone.layers[-1].attn
    qkv = attn.qkv(backbone.layers[-1].ln1(x))
    query, key, _ = qkv.unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT * query.shape[-1]**-0.5).softmax(-1)
    return weights[:, :, 0, 1:]


@torch.no_grad()
def test_video(inferencer, run, tmp_path):
    path = write_video(tmp_path / 'v.mp4', 40)  # 128 x 48, 10 a second
    found = inferencer(path, num_frames=4, interval=0.5, start=1.)
    assert found['frames'].shape == (4, 32, 88, 3)  # 85 to the next patch
    backbone = run[1].teacher['backbone']
    images = torch.from_numpy(
        ((found['frames'] - MEAN) / STD).transpose(0, 3, 1, 2)).float()
    backbone.out_type, backbone.pos_interp = 'raw', 'dino'
    tokens = backbone(images)[-1]
    backbone.out_type, backbone.pos_interp = 'cls_token', 'size'
    np.testing.assert_allclose(found['cls'], tokens[:, 0], atol=1e-5)
    np.testing.assert_allclose(
        found['patches'], tokens[:, 1:].unflatten(1, (4, 11)), atol=1e-5)
    backbone.pos_interp = 'dino'
    attention = slow_attention(backbone, images)
    backbone.pos_interp = 'size'
    np.testing.assert_allclose(
        found['attention'], attention.unflatten(2, (4, 11)), atol=1e-5)
    assert found['tracks'].shape == found['masks'].shape == (4, 2, 4, 11)
    np.testing.assert_allclose(
        found['tracks'].sum((2, 3)), np.ones((4, 2)), atol=1e-5)


def test_image_array_and_file_agree(inferencer, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'i.png'), pixels[..., ::-1])
    # arrays as cv2.imread gives them
    one, other = inferencer(tmp_path / 'i.png'), inferencer(pixels[..., ::-1])
    assert all(np.array_equal(one[k], other[k]) for k in one)
    rgb = DoRAInferencer(
        DEMO, size=32, device='cpu', channel_order='rgb')(pixels)['frames']
    assert np.array_equal(one['frames'], rgb)
    # a list, and a folder, as each of its entries
    found = inferencer([pixels[..., ::-1], tmp_path / 'i.png'])
    found += inferencer(tmp_path)
    assert len(found) == 3
    assert all(np.array_equal(f[k], one[k]) for f in found for k in one)
    pixels = pixels[..., ::-1]
    # several frames are no other than each alone
    both = inferencer(np.stack((pixels, pixels[::-1])))
    for name in ('cls', 'patches', 'attention'):
        np.testing.assert_allclose(both[name][:1], one[name], atol=1e-5)


def test_published_backbone_has_no_tracks(inferencer, run, tmp_path):
    published = publish(run[0], tmp_path / 'p.pth', num_heads=4).path
    alone = DoRAInferencer(str(published), size=32, device='cpu')
    pixels = np.zeros((32, 32, 3), np.uint8)
    found, whole = alone(pixels), inferencer(pixels)
    assert 'tracks' not in found and 'tracks' in whole
    np.testing.assert_array_equal(found['cls'], whole['cls'])


@pytest.mark.parametrize(('inputs', 'options', 'message'), [
    ('no.mp4', {}, 'no.mp4 is not a file'),
    (5, {}, 'inputs must be .* but 5 is not a file'),
    (np.zeros((8, 8)), {}, r'but got float64 \(8, 8\)'),
    ('v.mp4', dict(num_frames=9), '9 frames, 10 apart, from frame 0 on '
     'needs 81: 2 of a clip fit: lower .*num_frames'),
    ('bad.png', {}, 'bad.png cannot be decoded'),
])
def test_mistakes_are_named(inferencer, tmp_path, inputs, options, message):
    if isinstance(inputs, str):
        inputs = tmp_path / inputs
        write_video(tmp_path / 'v.mp4', 20)
        (tmp_path / 'bad.png').write_text('no')
    with pytest.raises(ValueError, match=message):
        inferencer(inputs, **options)


def test_needs_a_vit_and_a_patch():
    with pytest.raises(ValueError, match='only a ViT has attention'):
        DoRAInferencer('colour')
    with pytest.raises(ValueError, match='at least 16 pixels, .* but got 8'):
        DoRAInferencer(DEMO, size=8)
    with pytest.raises(ValueError, match='source must be .* but got 5: give'):
        DoRAInferencer(5)
    with pytest.raises(ValueError, match='size must be at most .* 8 images'):
        DoRAInferencer(DEMO, size=100000)
    with pytest.raises(ValueError, match='batch_size must be at least 1'):
        DoRAInferencer(DEMO, batch_size=0)
    with pytest.raises(ValueError, match='bgr or rgb, but got gbr'):
        DoRAInferencer(DEMO, channel_order='gbr')


def test_a_config_gives_one_network():
    inferencer = DoRAInferencer(DEMO, size=32, device='cpu')
    state = inferencer.tracker.teacher['backbone'].state_dict()
    for name, tensor in inferencer.backbone.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_tracker_is_never_missing_silently(run, tmp_path):
    data = torch.load(run[0], weights_only=True)
    del data['state_dict']['loss_module.center']
    torch.save(data, tmp_path / 'holed.pth')
    with pytest.raises(ValueError, match='loss_module.center'):
        DoRAInferencer(tmp_path / 'holed.pth', device='cpu', num_heads=4)
    # a stranger's object in the file needs trust, which reaches the tracker
    torch.save(dict(torch.load(run[0]), own=Path('x')), tmp_path / 'own.pth')
    with pytest.raises(ValueError, match='--trust'):
        DoRAInferencer(tmp_path / 'own.pth', device='cpu', num_heads=4)
    trusting = DoRAInferencer(
        tmp_path / 'own.pth', trust=True, device='cpu', num_heads=4)
    assert trusting.tracker is not None


def test_tracks_in_batches(inferencer, run, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3),
                                               np.uint8)
    seen = []
    backbone = inferencer.tracker.teacher['backbone']
    forward = backbone.forward_track

    def count(clips, *args):
        seen.append(clips.shape[1])
        return forward(clips, *args)

    monkeypatch.setattr(backbone, 'forward_track', count)
    found = inferencer(pixels[..., ::-1])  # three frames at a time
    assert seen == [3, 2]
    images = torch.from_numpy(((pixels - MEAN) / STD).transpose(0, 3, 1, 2))
    run[1].seed_step(0)
    expected = run[1].track(images[None].float())['track_attn'][0]
    np.testing.assert_allclose(
        found['tracks'], expected.unflatten(2, (4, 4)), atol=1e-6)
