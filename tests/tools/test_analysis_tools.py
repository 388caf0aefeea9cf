"""video_stats.py, plot_losses.py and health.py."""
import copy
import json
import runpy
import shutil
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from clean_python import ROOT

from dora_mm import config_path
from dora_mm.models import ModelLoader
from dora_mm.video.readers import build_reader
from dora_mm.video.video_stats import (mean_lightness, sample_video, shot_cuts,
                                       summarise)
from dora_mm.video.write_video import write_video

TOOLS = ROOT / 'tools/analysis_tools'


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Three shots of two seconds: dark, light and coloured noise."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('video') / 'shots.mp4'

    def frames():
        for light in (40, 40, 40), (210, 210, 210), (30, 60, 200):
            texture = rng.integers(-30, 31, (96, 160, 1))
            for t in range(24):
                moved = np.roll(texture, t, axis=1)
                yield (moved + light).clip(0, 255).astype(np.uint8)

    write_video(path, frames(), Fraction(12))
    return str(path)


@pytest.mark.parametrize(('grey', 'expected'), [(0, 0.), (119, 50.03),
                                                (255, 100.)])
def test_lightness_of_grey(grey, expected):
    """119 of 255 is the middle grey of sRGB: L* 50.03; OpenCV
    approximates."""
    frame = np.full((4, 5, 3), grey, np.uint8)
    assert mean_lightness(frame) == pytest.approx(expected, abs=0.3)


def test_samples_and_summary(video):
    reader = build_reader(video)
    samples = sample_video(reader, 0.5, lambda frame: [3, 3, 7])
    reader.close()
    assert [s['second'] for s in samples] == [0.5 * i for i in range(12)]
    light = [s['lightness'] for s in samples]
    assert max(light[:4]) < 25 and min(light[4:8]) > 75
    summary = summarise(samples, [2., 4.], 6.)
    assert summary['cuts_per_hour'] == 1200
    assert summary['lightness'] == pytest.approx(np.mean(light))
    assert summary['lightness_step'] == pytest.approx(
        sum(abs(a - b) for a, b in zip(light, light[1:])) / 11)
    assert summary['objects_per_frame'] == 3
    assert summary['classes_per_frame'] == 2
    with pytest.raises(ValueError, match='interval must be positive'):
        sample_video(reader, 0)


def test_cuts_are_found(video):
    assert shot_cuts(video) == pytest.approx([2., 4.], abs=0.05)


def test_command(video, tmp_path, capsys):
    tool = runpy.run_path(str(TOOLS / 'video_stats.py'))
    tool['analyse'](tool['parse_args']([video, '--out-dir', str(tmp_path)]))
    found = json.loads((tmp_path / 'shots_stats.json').read_text())
    assert found['summary']['cuts'] == 2 and len(found['samples']) == 6
    assert 'objects' not in found['samples'][0]
    assert cv2.imread(str(tmp_path / 'shots_stats.png')).shape[2] == 3
    assert 'cuts_per_hour' in capsys.readouterr().out
    with pytest.raises(ValueError, match='video must be a file.*no.mp4'):
        tool['analyse'](tool['parse_args'](['no.mp4']))
    # Another video of this name took the place of the first.
    (tmp_path / 'other').mkdir()
    other = shutil.copy(video, tmp_path / 'other')
    with pytest.raises(ValueError, match='--out-dir must be free of'):
        tool['analyse'](
            tool['parse_args']([other, '--out-dir', str(tmp_path)]))
    assert json.loads((tmp_path / 'shots_stats.json').read_text()) == found


def test_a_resumed_run_is_one_curve(tmp_path):
    tool = runpy.run_path(str(TOOLS / 'plot_losses.py'))
    starts = {'20260101_000000': [(1, 5.), (2, 4.), (3, 9.)],
              '20260102_000000': [(3, 3.), (4, 2.)]}  # yapf: disable
    for start, entries in starts.items():
        folder = tmp_path / 'run' / start / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(loss=v, step=s)) for s, v in entries]
        lines.append(json.dumps({'knn/k20_top1': 30., 'step': 4}))
        (folder / 'scalars.json').write_text('\n'.join(lines))
    curves = tool['read_curves'](tmp_path / 'run', ['loss', 'knn/k20_top1'])
    assert curves['loss'] == {1: 5., 2: 4., 3: 3., 4: 2.}
    assert curves['knn/k20_top1'] == {4: 30.}
    figure = tool['draw'](dict(run=curves), ['loss'])
    figure.canvas.draw()
    panel, = figure.axes
    legend = panel.get_legend()
    # It lay over a curve.
    assert legend.get_window_extent().y0 >= panel.get_window_extent().y1
    words, = legend.get_texts()
    assert words.get_text() == ('run: 5 to 2, lowest 2 at 4, highest 5 at 1')
    end, = panel.texts
    assert end.get_text() == '2' and end.xy == (4, 2.)
    assert tool['summary']([1, 2, 3], [1., float('nan'), 3.]) == (
        '1 to 3, lowest 1 at 1, highest 3 at 3, 1 not finite')
    out = tmp_path / 'out' / 'l.png'
    tool['plot'](
        tool['parse_args']([str(tmp_path / 'run'), '--out',
                            str(out)]))
    assert np.ptp(cv2.imread(str(out))) > 200
    for key, remedy in (('los', 'did you mean loss?'),
                        ('nonsense', 'it has knn/k20_top1, loss')):
        with pytest.raises(ValueError, match=f'--keys must .*{key}: {remedy}'):
            tool['read_curves'](tmp_path / 'run', [key])
    with pytest.raises(ValueError, match='runs must be work folders'):
        tool['read_curves'](tmp_path / 'empty', ['loss'])


def test_health_of_a_config_and_of_its_checkpoint(video, tmp_path):
    """The same weights; the checkpoint says how far its teacher has come."""
    tool = runpy.run_path(str(TOOLS / 'health.py'))
    config = config_path('dora/vit-t16_demo.py')
    loader = ModelLoader(config)
    cfg = copy.deepcopy(loader.cfg)
    cfg.train_cfg.max_epochs = 4
    for hook in cfg.custom_hooks:
        if hook.type == 'dora_mm.TeacherEMAHook':
            hook.update(momentum=0.9, end_momentum=1.)
    meta = dict(cfg=cfg.pretty_text, iter=8, run=dict(epoch_iters=2))
    torch.save(
        dict(state_dict=loader.model().state_dict(), meta=meta),
        tmp_path / 'iter_8.pth')
    found = [
        tool['measure'](tool['parse_args'](
            [str(source), video, '--num-clips', '1', '--out',
             str(tmp_path / 'health.json')]))
        for source in ('dora/vit-t16_demo', tmp_path / 'iter_8.pth')
    ]
    starts = [figures.pop('teacher_start') for figures in found]
    assert found[0] == found[1]
    # Four epochs of two iterations, momentum 0.9 to 1 by a cosine.
    steps = np.arange(8)
    assert starts == [
        1,
        pytest.approx(np.prod(1 - 0.05 * (1 + np.cos(np.pi * steps / 8))))
    ]
    written = json.loads((tmp_path / 'health.json').read_text())
    assert written == dict(found[1], teacher_start=starts[1])
