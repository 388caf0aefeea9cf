"""KNNHook and TrackPanelHook in real runs."""
import io
import json
import tarfile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import build_runner, model_cfg
from video_factory import write_video

from dora_mm.datasets import ClassFolderDataset
from dora_mm.engine import KNNHook, TrackPanelHook
from dora_mm.evaluation.knn_classifier import KNNClassifier

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


def expected_accuracy(model, images, k):
    """By the parts, one image at a time."""
    found = {}
    for name in ('train', 'test'):
        dataset = ClassFolderDataset(str(images), name, PIPELINE)
        mean = torch.tensor((123.675, 116.28, 103.53)).reshape(3, 1, 1)
        std = torch.tensor((58.395, 57.12, 57.375)).reshape(3, 1, 1)
        with torch.no_grad():
            features = torch.cat([
                model.teacher['backbone'](
                    (item['inputs'][None] - mean) / std)[-1]
                for item in dataset
            ])
        labels = torch.tensor(
            [int(d['data_samples'].gt_label) for d in dataset])
        found[name] = torch.nn.functional.normalize(features), labels
    votes = KNNClassifier(*found['train'], 2, (k, )).votes(found['test'][0])[k]
    return 100 * (votes.argmax(1) == found['test'][1]).float().mean().item()


def test_both_watch_and_change_nothing(images, tmp_path):
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
        dict(type='dora_mm.TrackPanelHook', video=video, interval=4, cell=64))
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

    names = sorted(
        path.relative_to(vis).as_posix() for path in vis.rglob('*.png'))
    assert len(names) == 2 and all('_4.png' in name for name in names)
    shapes = [cv2.imread(str(vis / name)).shape for name in names]
    # four attention heads in three rows of columns, against eight frames
    assert shapes[1][1] > 8 * 64 and shapes[0][1] < shapes[1][1]


@pytest.mark.parametrize('hook', [KNNHook, TrackPanelHook])
def test_interval_is_checked(hook):
    with pytest.raises(ValueError, match='interval must be .*got 0'):
        if hook is KNNHook:
            hook({}, {}, interval=0)
        else:
            hook('v.mp4', interval=0)


def test_panels_need_a_model_that_tracks(tmp_path):
    with pytest.raises(ValueError, match='must track objects.*DINO'):
        run(tmp_path,
            dict(type='dora_mm.TrackPanelHook', video='v.mp4'),
            model=model_cfg('DINO'))
