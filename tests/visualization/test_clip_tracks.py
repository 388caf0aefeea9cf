import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from video_factory import write_video

from dora_mm import config_path
from dora_mm.checkpoints.run_config import checkpoint_config
from dora_mm.visualization.clip_tracks import (clip_settings, load_track_model,
                                               read_clips, track_clip)


@pytest.fixture(scope='module')
def demo():
    """The demo model with random weights, and its config."""
    return load_track_model(config_path('dora/vit-t16_demo.py'))


def test_config_of_a_checkpoint_is_read_as_data():
    cfg = Config.fromfile(config_path('dora/vit-s16_wt_released.py'))
    found = checkpoint_config(dict(meta=dict(cfg=cfg.pretty_text)))
    assert found.to_dict() == cfg.to_dict()
    assert clip_settings(found) == dict(
        clip_len=8, frame_interval=None, frame_stride=60)


@pytest.mark.parametrize('text, message', [
    (None, 'holds no config'),
    ("model = dict(type=__import__('os').getcwd())", 'calls __import__'),
    ('import os', 'more than plain data'),
    ('model = dict(**{"type": 1})', 'unpacks a dict'),
    ("model = dict(type='dora_mm.DoRA', neck=[dict(type='os.system')])",
     "'os.system'"),
    ("model = dict(type='dora_mm.checkpoints.safe_load.os.system')",
     'not part of dora_mm'),
])
def test_config_that_could_run_code_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        checkpoint_config(dict(meta=dict(cfg=text)))
    assert '--config' in str(error.value)


def test_clips_follow_one_another(tmp_path):
    path = write_video(tmp_path / 'v.mp4', 40, fps=10)
    video = cv2.VideoCapture(path)
    every = [video.read()[1][..., ::-1] for _ in range(40)]
    clips = list(read_clips(path, 2, 0.5, clip_len=3, frame_interval=0.4))
    assert [c.indices.tolist() for c in clips] == [[5, 9, 13], [17, 21, 25]]
    for clip in clips:
        # 48 x 128 pixels: the square from column 40 on
        assert clip.frames.shape == (3, 48, 48, 3)
        for frame, index in zip(clip.frames, clip.indices):
            expected = every[index][:, 40:88].astype(int)
            assert abs(frame - expected).mean() < 2
    clips = list(read_clips(path, 1, clip_len=3, frame_stride=2))
    assert clips[0].indices.tolist() == [0, 2, 4]


@pytest.mark.parametrize('kwargs, message', [
    (dict(num_clips=0), 'at least 1'),
    (dict(start=-1.), 'at least 0'),
    (dict(frame_interval=0.01), 'half a frame'),
    (dict(clip_len=4), 'need 31'),
])
def test_wrong_clips_are_refused(tmp_path, kwargs, message):
    path = write_video(tmp_path / 'v.mp4', 30, fps=10)
    with pytest.raises(ValueError, match=message):
        list(read_clips(path, **dict(dict(num_clips=1), **kwargs)))
    with pytest.raises(ValueError, match='is not a file'):
        list(read_clips(tmp_path / 'none.mp4', 1))


def test_tracks_are_those_of_the_model_on_its_own_views(demo):
    model, cfg = demo
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    # the model's own preprocessor, with everything random switched off
    off = dict(
        cfg.model.data_preprocessor,
        global_scale=(1., 1.),
        aspect_ratio=(1., 1.),
        global_flip_prob=0.,
        global_blur_prob=0.,
        global_solarize_prob=0.,
        jitter_prob=0.,
        gray_prob=0.)
    preprocessor = type(model.data_preprocessor)(**{
        k: v
        for k, v in off.items() if k != 'type'
    })
    batch = torch.from_numpy(frames).permute(0, 3, 1, 2)[None]
    views = preprocessor(dict(inputs=batch))['inputs']['global_clips'][0]
    model.seed_step(5)
    expected = model.track(views)

    found = track_clip(model, frames, seed=5)
    for name in ('raw_track_attn', 'track_attn', 'object_masks', 'heads'):
        torch.testing.assert_close(
            torch.from_numpy(found[name]), expected[name][0])
    assert found['head_attn'].shape == (3, 3, 49)
    torch.testing.assert_close(
        torch.from_numpy(found['head_attn'][0]), expected['cls_attn'][0])
    alone = track_clip(model, frames[2:], seed=5)['head_attn'][0]
    np.testing.assert_allclose(found['head_attn'][2], alone, rtol=1e-4)


def test_random_weights_are_the_same_each_time(demo):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again, _ = load_track_model(config_path('dora/vit-t16_demo.py'))
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in demo[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_unfit_models_are_refused(demo, tmp_path):
    with pytest.raises(ValueError, match='is not a file'):
        load_track_model(tmp_path / 'none.pth')
    with pytest.raises(ValueError, match='does not track'):
        load_track_model(config_path('dino/vit-t16_demo.py'))
    path = tmp_path / 'bare.pth'
    torch.save(dict(a=torch.ones(1)), path)
    with pytest.raises(ValueError, match='no runner checkpoint'):
        load_track_model(path)
    state = demo[0].state_dict()
    del state['teacher.backbone.cls_token']
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ValueError, match='teacher.backbone.cls_token'):
        load_track_model(path, config_path('dora/vit-t16_demo.py'))
