"""visualize_features.py and browse_dataset.py."""
import json
import runpy

import cv2
import numpy as np
import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.runner import Runner
from small_runs import make_run
from video_factory import write_video

from dora_mm import config_path
from dora_mm.models import DoRA

DEMO = config_path('dora/vit-t16_demo.py')


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video') / 'v.mp4', 60)


def test_features_of_a_video(video, tmp_path):
    tool = runpy.run_path(str(ROOT / 'tools/visualize_features.py'))
    tool['visualize'](
        tool['parse_args']([
            str(video), DEMO, '--size', '48', '--num-frames', '3',
            '--interval', '0.5', '--out-dir',
            str(tmp_path / 'out')
        ]))
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == [f'v_00{i}.png' for i in range(3)
                     ] + ['v_features.json', 'v_features.mp4']
    # 128 x 48 pixels; frame, components, mean and three heads
    assert cv2.imread(str(tmp_path / 'out/v_000.png')).shape == (96, 384, 3)


def test_features_of_a_folder(tmp_path):
    """Of photos of different sizes, as dora-mm embed takes one."""
    (tmp_path / 'photos/b').mkdir(parents=True)
    for name, shape in (('a.png', (60, 40, 3)), ('b/a.png', (40, 60, 3))):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        cv2.imwrite(str(tmp_path / 'photos' / name), pixels)
    tool = runpy.run_path(str(ROOT / 'tools/visualize_features.py'))
    out = tmp_path / 'out'
    tool['main']([
        str(tmp_path / 'photos'), DEMO, '--size', '32', '--out-dir',
        str(out)
    ])
    shapes = [cv2.imread(str(p)).shape for p in sorted(out.glob('*.png'))]
    assert shapes == [(96, 96, 3), (64, 144, 3)]
    record = json.loads((out / 'photos_features.json').read_text())
    assert record['pictures'] == ['a.png', 'b/a.png']


def test_architecture_of_a_foreign_file_is_asked_for(tmp_path):
    """Heads leave no trace in shapes, and change every map of attention."""
    make_run(tmp_path / 'run.pth', heads=8, say=False)
    cv2.imwrite(str(tmp_path / 'i.png'), np.zeros((32, 32, 3), np.uint8))
    tool = runpy.run_path(str(ROOT / 'tools/visualize_features.py'))
    words = [str(tmp_path / name) for name in ('i.png', 'run.pth')]
    words += ['--size', '32', '--out-dir', str(tmp_path / 'out')]
    with pytest.raises(ValueError, match='give --num-heads, --img-size, '):
        tool['main'](words)
    tool['main']([
        *words, '--num-heads', '8', '--img-size', '32', '--norm-eps', '1e-6',
        '--activation', 'gelu'
    ])
    # the picture, its components, the mean of the maps and each of them
    assert cv2.imread(str(tmp_path / 'out/i_000.png')).shape == (96, 128, 3)


def options(video):
    return {
        'train_dataloader.dataset.video': str(video),
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.timeout': 0,
        'train_dataloader.batch_size': 2,
        'model.data_preprocessor.color_jitter.prob': 0.8
    }


class SeenEnough(Exception):
    pass


def test_browsing_shows_what_the_model_gets(video, tmp_path, monkeypatch):
    """The views of the first batches of a run, pixel by pixel."""
    seen = []

    def loss(self, inputs, data_samples=None):
        seen.append(inputs)
        if len(seen) == 2:
            raise SeenEnough
        return dict(loss=sum(p.sum() for p in self.parameters()))

    monkeypatch.setattr(DoRA, 'loss', loss)
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(
        dict(
            options(video),
            work_dir=str(tmp_path),
            log_level='ERROR',
            vis_backends=[]))
    cfg.visualizer = dict(type='Visualizer', vis_backends=[])
    # gradients of nothing are no trouble of this test
    with pytest.raises(SeenEnough):
        Runner.from_cfg(cfg).train()

    tool = runpy.run_path(str(ROOT / 'tools/analysis_tools/browse_dataset.py'))
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict(options(video))
    shown = tool['clips_and_views'](cfg)
    mean = torch.tensor((123.675, 116.28, 103.53)).reshape(3, 1, 1)
    std = torch.tensor((58.395, 57.12, 57.375)).reshape(3, 1, 1)
    for inputs in seen:
        for i in range(2):
            clip, views = next(shown)
            assert clip.shape == (4, 300, 300, 3)
            assert list(views) == [
                'global 0', 'global 1', 'local 0', 'local 1'
            ]
            for name, view in views.items():
                kind, number = name.split()
                expected = inputs[f'{kind}_clips'][int(number), i] * std + mean
                np.testing.assert_allclose(
                    view.transpose(0, 3, 1, 2), expected, atol=0.51)


def test_browse_writes_a_sheet_for_each_clip(video, tmp_path, capsys):
    tool = runpy.run_path(str(ROOT / 'tools/analysis_tools/browse_dataset.py'))
    settings = [f'{name}={value}' for name, value in options(video).items()]
    tool['browse'](
        tool['parse_args']([
            DEMO, '--num', '3', '--cell', '40', '--out-dir',
            str(tmp_path / 'out'), '--cfg-options', *settings
        ]))
    assert '3 clips written' in capsys.readouterr().out
    # four frames; the clip, two global and two local views
    sheets = sorted((tmp_path / 'out').iterdir())
    assert [cv2.imread(str(p)).shape for p in sheets] == 3 * [(200, 160, 3)]
