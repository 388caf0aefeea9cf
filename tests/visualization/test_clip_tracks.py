from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from video_factory import write_video

from dora_mm import config_path
from dora_mm.models import ModelLoader
from dora_mm.video.video_manifest import VideoManifest
from dora_mm.visualization.clip_tracks import (clip_settings, read_clips,
                                               track_clip)


@pytest.fixture(scope='module')
def demo():
    """The demo model with random weights, and its config."""
    loader = ModelLoader(config_path('dora/vit-t16_demo.py'))
    return loader.tracker(), loader.cfg


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
    clip, = read_clips(path, 1, clip_len=3, frame_stride=2, square=False)
    assert clip.indices.tolist() == [0, 2, 4]
    assert clip.seconds == pytest.approx([0, .2, .4])
    assert abs(clip.frames[2] - every[4].astype(int)).mean() < 2


def test_clips_as_trained_reach_over_no_cut(tmp_path, monkeypatch):
    """Figures of health were those of clips that lie in two scenes as well."""
    path = write_video(tmp_path / 'v.mp4', 60, fps=10)
    manifest = SimpleNamespace(cuts=(8, 30), excluded=((40, 44, 'blank'), ))
    monkeypatch.setattr(VideoManifest, 'load', lambda video: manifest)

    def starts(num, **kwargs):
        clips = read_clips(path, num, 0., 3, frame_stride=2, **kwargs)
        return [int(clip.indices[0]) for clip in clips]

    assert starts(9) == list(range(0, 54, 6))
    every = [n for n in range(60 - 4)
             if not any(n < cut <= n + 4 for cut in manifest.cuts)
             and not set(range(n, n + 5)) & set(range(40, 44))]
    expected = every[:1]
    while any(n >= expected[-1] + 6 for n in every):
        expected.append(min(n for n in every if n >= expected[-1] + 6))
    assert expected == [0, 8, 14, 20, 30, 44, 50]
    assert starts(7, as_trained=True) == expected
    assert starts(8, as_trained=True) == expected
    manifest.cuts = tuple(range(60))
    with pytest.raises(ValueError, match='excluded stretches aside: use a l'):
        starts(1, as_trained=True)
    # a film of short shots, which is trained with across its cuts
    settings = clip_settings(
        Config(
            dict(train_dataloader=dict(dataset=dict(across_cuts=True)))))
    assert starts(
        7,
        as_trained=True,
        across_cuts=settings['across_cuts']) == [0, 6, 12, 18, 24, 30, 44]


@pytest.mark.parametrize('frames, number', [(9, 1), (20, 1), (21, 2),
                                            (32, 2), (33, 3)])
def test_a_short_video_gives_the_clips_that_it_has(tmp_path, caplog, frames,
                                                   number):
    """It was refused: HealthHook wants 16 clips of each video.

    A clip reaches over 9 frames, and the next one begins behind 12.
    """
    MMLogger.get_instance('short').addHandler(caplog.handler)
    path = write_video(tmp_path / 'v.mp4', frames, fps=10)
    clips = list(read_clips(path, 3, clip_len=3, frame_stride=4))
    assert [int(clip.indices[0]) for clip in clips] == [0, 12, 24][:number]
    assert (f'v.mp4 has {number} clip' in caplog.text) == (number < 3)


@pytest.mark.parametrize('kwargs, message', [
    (dict(num_clips=0), 'at least 1'),
    (dict(start=-1.), 'at least 0'),
    (dict(start=float('nan')), 'at least 0'),
    (dict(frame_interval=0.01), 'half a frame'),
    (dict(frame_interval=0.), 'half a frame'),
    (dict(clip_len=4), 'needs 31: 3 of a clip fit: use a longer video'),
    (dict(clip_len=4, shorter='lower n'), '31: 3 of a clip fit: lower n'),
    (dict(start=3.), r'lower --start \(start\)'),
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
        global_views=dict(
            cfg.model.data_preprocessor.global_views,
            scale=(1., 1.),
            flip_prob=0.,
            blur_prob=0.,
            solarize_prob=0.),
        aspect_ratio=(1., 1.),
        color_jitter=dict(prob=0.),
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
