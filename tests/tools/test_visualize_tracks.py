import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dora_mm import config_path
from dora_mm.models import ModelLoader
from dora_mm.video.demo_video import make_demo_video

TOOL = Path(__file__).parents[2] / 'tools' / 'visualize_tracks.py'


@pytest.fixture(scope='module')
def tool():
    return runpy.run_path(str(TOOL))


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'demo.mp4'
    return make_demo_video(path, num_frames=60, size=(160, 96), fps=12)


def run(tool, *args):
    tool['visualize'](tool['parse_args']([str(arg) for arg in args]))


def test_config_and_checkpoint_give_the_same_pictures(tool, video, tmp_path):
    config = config_path('dora/vit-t16_demo.py')
    options = ('--num-clips', 2, '--start', 0.5, '--interval', 0.5)
    run(tool, video, config, '--out-dir', tmp_path / 'a', *options)
    names = sorted(path.name for path in (tmp_path / 'a').iterdir())
    # four frames a clip, half a second or six frames apart, from frame 6 on
    assert names == [
        f'demo_clip{i:03}_frame{6 + 24 * i + 6 * t:06}.png' for i in range(2)
        for t in range(4)
    ][:4] + ['demo_clip000_overview.png'
             ] + [f'demo_clip001_frame{30 + 6 * t:06}.png'
                  for t in range(4)] + [
                           'demo_clip001_overview.png', 'demo_tracks.json',
                           'demo_tracks.mp4'
                       ]

    loader = ModelLoader(config)
    state = loader.tracker().state_dict()
    source = tmp_path / 'epoch_1.pth'
    meta = dict(cfg=loader.cfg.pretty_text)
    torch.save(dict(state_dict=state, meta=meta), source)
    run(tool, video, source, '--out-dir', tmp_path / 'b', *options)
    for name in names[:-2]:
        first, second = (
            cv2.imread(str(tmp_path / folder / name)) for folder in 'ab')
        assert np.array_equal(first, second), name

    # other weights, other pictures, and none that is left of a longer run
    for key in state:
        if key.startswith('teacher.') and 'qkv' in key:
            state[key] = state[key].flip(0)
    torch.save(dict(state_dict=state, meta=meta), source)
    options = ('--num-clips', 1, *options[2:])
    run(tool, video, source, '--out-dir', tmp_path / 'b', *options)
    assert sorted(path.name for path in (tmp_path / 'b').iterdir()) == [
        *names[:5], *names[-2:]]
    changed = cv2.imread(str(tmp_path / 'b' / names[0]))
    assert not np.array_equal(changed,
                              cv2.imread(str(tmp_path / 'a' / names[0])))


def test_errors_are_one_line(run_tool, video, tmp_path):
    out = tmp_path / 'out'
    result = run_tool('visualize_tracks.py', video,
                      config_path('dora/vit-t16_demo.py'), '--out-dir', out,
                      '--start', 90)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ') and 'has 60 frames' in last
    assert 'Traceback' not in result.stderr
    assert not out.exists()


def test_an_interval_of_no_frame_is_refused(tool, video, tmp_path):
    """0 was taken for the default, a second."""
    with pytest.raises(ValueError, match='frame_interval must .* got 0.001'):
        run(tool, video, config_path('dora/vit-t16_demo.py'), '--out-dir',
            tmp_path / 'out', '--interval', .001)
