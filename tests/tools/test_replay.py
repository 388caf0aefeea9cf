"""A run that stopped is repeated from its last checkpoint."""
import json
import re
import runpy

import pytest
import torch
from clean_python import ROOT
from video_factory import write_video

import dora_mm

CONFIG = """
_base_ = [{base!r}]
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=48, num_layers=2, num_heads=4,
                  feedforward_channels=96),
        img_size=32, patch_size=8),
    neck=dict(in_channels=48, hidden_channels=32, bottleneck_channels=16),
    data_preprocessor=dict(
        global_views=dict(size=32), local_views=dict(size=16)))
train_dataloader = dict(
    batch_size=8, num_workers=1,
    dataset=dict(video={video!r}, clip_len=2, frame_interval=0.1,
                 start_stride=1))
default_hooks = dict(checkpoint=dict(interval=1))
"""


def tool(name):
    return runpy.run_path(str(ROOT / 'tools' / name))['main']


def test_replay_names_the_layer_and_the_clips(tmp_path, monkeypatch, capsys):
    """A rate of 1e30, the run that once ended with exit 0 and NaN saved."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    config, run = tmp_path / 'c.py', tmp_path / 'run'
    video = write_video(tmp_path / 'v.mp4', 81)
    config.write_text(
        CONFIG.format(
            base=dora_mm.config_path('dora/vit-t16_demo.py'), video=video))
    with pytest.raises(RuntimeError, match='loss .* not finite in iteration'):
        tool('train.py')([
            str(config), '--work-dir',
            str(run), '--cfg-options', 'optim_wrapper.optimizer.lr=1e30'
        ])
    kept = {path.name: path.read_bytes() for path in run.glob('*.pth')}
    assert kept
    for path in run.glob('*.pth'):
        state = torch.load(path, weights_only=False)['state_dict']
        assert all(t.isfinite().all() for t in state.values())
    report = json.loads((run / 'non_finite.json').read_text())
    capsys.readouterr()
    tool('replay.py')([str(run)])
    out = capsys.readouterr().out
    module, = re.findall('first output that is not finite: (.*)', out)
    assert module.startswith(('backbone.', 'neck.', 'teacher.'))
    clips, = report['clips']
    assert len(clips) == 8
    for clip in clips:
        assert f"'start_frame': {clip['start_frame']}, " in out
    again = json.loads((run / 'replay' / 'non_finite.json').read_text())
    assert again == report
    assert kept == {path.name: path.read_bytes() for path in run.glob('*.pth')}


def test_replay_without_a_report(tmp_path):
    with pytest.raises(ValueError, match='must hold a non_finite.json'):
        tool('replay.py')([str(tmp_path)])
