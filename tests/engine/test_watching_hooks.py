"""Hooks that watch, in real runs."""
import io
import json
import pickle
import tarfile
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tiny import build_model, build_runner, model_cfg
from video_factory import write_video

from dora_mm.datasets import ClassFolderDataset
from dora_mm.engine import HealthHook, KNNHook, LinearProbeHook, TrackPanelHook
from dora_mm.evaluation.knn_classifier import KNNClassifier
from dora_mm.models.evaluators.model_health import model_health
from dora_mm.visualization import TrackVisualizer
from dora_mm.visualization.clip_tracks import Clip, read_clips, track_clip

PIPELINE = [dict(type='dora_mm.DecodeImage'), dict(type='PackInputs')]


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Two classes, light and dark, that a random ViT does not tell apart for
    certain."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('images') / 'set.tar'
    with tarfile.open(path, 'w') as archive:
        for split, number in (('train', 9), ('test', 8)):
            for name, light in (('dark', 110), ('light', 130)):
                for i in range(number):
                    pixels = rng.normal(light, 60, (32, 32, 3)).clip(0, 255)
                    data = io.BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(data, 'png')
                    info = tarfile.TarInfo(f'{split}/{name}/{i}.png')
                    info.size = len(data.getvalue())
                    archive.addfile(info, io.BytesIO(data.getvalue()))
    return path


def split(images, name):
    return dict(
        type='dora_mm.ClassFolderDataset',
        root=str(images),
        split=name,
        pipeline=PIPELINE)


def run(folder, *hooks, **kwargs):
    runner = build_runner(
        folder, [
            dict(type='dora_mm.StepSeedHook'),
            dict(type='dora_mm.TeacherEMAHook', momentum=0.9), *hooks
        ],
        visualizer=dict(
            type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
        **kwargs)
    runner.train()
    return runner


def features_of(model, images, name):
    """By the parts, one image at a time."""
    dataset = ClassFolderDataset(str(images), name, PIPELINE)
    mean = torch.tensor((123.675, 116.28, 103.53)).reshape(3, 1, 1)
    std = torch.tensor((58.395, 57.12, 57.375)).reshape(3, 1, 1)
    with torch.no_grad():
        features = torch.cat([
            model.teacher['backbone']((item['inputs'][None] - mean) / std)[-1]
            for item in dataset
        ])
    labels = torch.tensor([int(d['data_samples'].gt_label) for d in dataset])
    return torch.nn.functional.normalize(features), labels


def expected_accuracy(model, images, k):
    queries, labels = features_of(model, images, 'test')
    classifier = KNNClassifier(*features_of(model, images, 'train'), 2, (k, ))
    right = classifier.votes(queries)[k].argmax(1) == labels
    return 100 * right.float().mean().item()


def test_all_watch_and_change_nothing(images, tmp_path):
    video = write_video(tmp_path / 'v.mp4', 81)
    plain = run(tmp_path / 'plain')
    watched = run(
        tmp_path / 'watched',
        dict(
            type='dora_mm.KNNHook',
            memory=split(images, 'train'),
            queries=split(images, 'test'),
            interval=4,
            ks=(3, ),
            batch_size=5,
            num_workers=0),
        dict(type='dora_mm.TrackPanelHook', video=video, interval=4, cell=64),
        dict(
            type='dora_mm.HealthHook', video=video, interval=4, num_clips=1),
        dict(
            type='dora_mm.LinearProbeHook',
            train=split(images, 'train'),
            test=split(images, 'test'),
            interval=4,
            batch_size=5,
            num_workers=0))
    for a, b in zip(plain.model.parameters(), watched.model.parameters()):
        assert torch.equal(a, b)

    vis, = (tmp_path / 'watched').glob('*/vis_data')
    scalars = [
        json.loads(line)
        for line in (vis / 'scalars.json').read_text().splitlines()
    ]
    values = {
        entry['step']: entry['knn/k3_top1']
        for entry in scalars if 'knn/k3_top1' in entry
    }
    # six iterations: every fourth and the last
    assert list(values) == [4, 6]
    assert values[6] == pytest.approx(
        expected_accuracy(watched.model, images, 3))

    probed = [e for e in scalars if 'linear_probe/top1' in e]
    assert [entry['step'] for entry in probed] == [4, 6]
    healthy = {e['step']: e for e in scalars if 'health/cls_rank' in e}
    assert list(healthy) == [4, 6]
    # Momentum 0.9 to 1 by a cosine over six iterations.
    kept = np.prod([
        1 - 0.1 * (1 + np.cos(np.pi * step / 6)) / 2 for step in range(4)])
    assert healthy[4]['health/teacher_start'] == pytest.approx(kept)
    clips = read_clips(video, 1)
    expected = model_health(watched.model, [clip.frames for clip in clips])
    for name, value in expected.items():
        assert healthy[6][f'health/{name}'] == pytest.approx(value), name

    names = sorted(
        path.relative_to(vis).as_posix() for path in vis.rglob('*.png'))
    assert len(names) == 2 and all('_4.png' in name for name in names)
    shapes = [cv2.imread(str(vis / name)).shape for name in names]
    # four attention heads in three rows of columns, against eight frames
    assert shapes[1][1] > 8 * 64 and shapes[0][1] < shapes[1][1]


def test_panels_are_those_of_whole_frames_that_are_not_kept(
        tmp_path, monkeypatch):
    """A clip of 8 frames of 4K took 112 MB for the whole run."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 720, 720, 3), dtype=np.uint8)
    clip = Clip(frames, np.arange(4), np.arange(4) / 10)
    monkeypatch.setattr('dora_mm.engine.hooks.track_panel_hook.read_clips',
                        lambda *args, **kwargs: iter([clip]))
    drawn = {}
    runner = SimpleNamespace(
        cfg=Config(),
        model=build_model().eval(),
        iter=0,
        visualizer=SimpleNamespace(
            add_image=lambda name, image, step: drawn.update({name: image})))
    hook = TrackPanelHook('v.mp4', interval=1, cell=64)
    hook.before_train(runner)
    assert len(pickle.dumps(hook.clips)) < 4 * 3 * (64**2 + 32**2) + 1000
    hook.after_train_iter(runner, 0)
    expected = TrackVisualizer(64).draw_overview(
        frames, track_clip(runner.model, frames),
        [f'{n / 10:.2f} s' for n in range(4)], 'iteration 1')
    assert np.array_equal(drawn['tracks_0'], expected)


@pytest.mark.parametrize('hook, args', [(KNNHook, ({}, {})),
                                        (LinearProbeHook, ({}, {})),
                                        (HealthHook, ('v.mp4', )),
                                        (TrackPanelHook, ('v.mp4', ))])
def test_interval_is_checked(hook, args):
    with pytest.raises(ValueError, match='interval must be .*got 0'):
        hook(*args, interval=0)


def test_probe_against_numpy_and_resumed(images, tmp_path):
    """Of a teacher that stands still: its features are computed once."""
    settings = dict(
        max_epochs=2,
        batch_size=6,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1)))
    hook = dict(
        type='dora_mm.LinearProbeHook',
        train=split(images, 'train'),
        test=split(images, 'test'),
        batch_size=5,
        num_workers=0)
    whole = run(tmp_path / 'a', hook, **settings)
    resumed = run(
        tmp_path / 'b',
        hook,
        cfg=Config(dict(resume=True)),
        resume=True,
        load_from=str(tmp_path / 'a/epoch_1.pth'),
        **settings)
    probes = [
        next(h for h in runner.hooks if isinstance(h, LinearProbeHook))
        for runner in (whole, resumed)
    ]
    assert probes[0].num_steps == probes[1].num_steps == 4
    assert torch.equal(probes[0].probe.weight, probes[1].probe.weight)

    features, labels = features_of(whole.model, images, 'train')
    x, y = features.double().numpy(), np.eye(2)[labels.numpy()]
    weight, speed = np.zeros((49, 2)), np.zeros((49, 2))
    x = np.hstack([x, np.ones((18, 1))])
    order = np.concatenate([
        np.random.default_rng((0, number)).permutation(18)[:15]
        for number in range(2)
    ])
    for batch in order[:20].reshape(4, 5):
        share = np.exp(x[batch] @ weight)
        share /= share.sum(1, keepdims=True)
        speed = 0.9 * speed + x[batch].T @ (share - y[batch]) / 5
        weight -= 10 * speed
    np.testing.assert_allclose(
        probes[0].probe.weight.detach().numpy(), weight[:-1].T, atol=1e-3)


def test_panels_need_a_model_that_tracks(tmp_path):
    with pytest.raises(ValueError, match='must track objects.*DINO'):
        run(tmp_path,
            dict(type='dora_mm.TrackPanelHook', video='v.mp4'),
            model=model_cfg('DINO'))
