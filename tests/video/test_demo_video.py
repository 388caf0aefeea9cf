import importlib.util

import av
import cv2
import numpy as np
import pytest
from clean_python import ROOT

from dora_mm.video.demo_video import demo_frames, make_demo_video

SMALL = dict(num_frames=12, size=(96, 64), fps=4, num_objects=3)
TOOL = ROOT / 'tools/make_demo_video.py'


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        frames = [f.to_ndarray(format='rgb24') for f in container.decode()]
        return frames, float(stream.average_rate)


def test_file_holds_the_frames(tmp_path):
    path = make_demo_video(tmp_path / 'new' / 'a.mp4', **SMALL)
    frames, fps = decode(path)
    truth = list(demo_frames(**SMALL))
    assert len(frames) == len(truth) == 12 and fps == 4
    for frame, clean in zip(frames, truth):
        assert frame.shape == clean.shape == (64, 96, 3)
        assert np.abs(frame.astype(int) - clean).mean() < 6
    # The frames are a function of the seed; the encoder may differ in a bit.
    for frame, again in zip(truth, demo_frames(**SMALL)):
        assert np.array_equal(frame, again)
    assert not np.array_equal(truth[0], next(demo_frames(**SMALL, seed=1)))


def test_there_is_something_to_track():
    frames = list(demo_frames(num_frames=96, size=(160, 90), fps=12))
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in frames]
    assert min(g.std() for g in grey) > 25
    # The camera and the objects move, but a frame resembles the one before.
    for first, second in zip(grey[:-1], grey[1:]):
        change = np.abs(first.astype(int) - second).mean()
        assert 0.5 < change < 30
    # Objects are what a pan of the background does not explain.
    flow = cv2.calcOpticalFlowFarneback(grey[40], grey[43], None, 0.5, 3, 15,
                                        3, 5, 1.2, 0)
    motion = np.linalg.norm(flow - np.median(flow, axis=(0, 1)), axis=-1)
    assert 0.05 < (motion > 1.5).mean() < 0.8


def test_nothing_is_left_after_a_failure(tmp_path, monkeypatch):
    target = tmp_path / 'a.mp4'
    target.write_bytes(b'old')

    def broken(*args):
        yield np.zeros((64, 96, 3), np.uint8)
        raise KeyboardInterrupt

    monkeypatch.setattr('dora_mm.video.demo_video.demo_frames', broken)
    with pytest.raises(KeyboardInterrupt):
        make_demo_video(target, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']
    assert target.read_bytes() == b'old'


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match=r'size.*\(97, 64\)'):
        make_demo_video(tmp_path / 'a.mp4', size=(97, 64))
    with pytest.raises(ValueError, match='at least 1.* 0,'):
        next(demo_frames(num_frames=0))
    with pytest.raises(ValueError, match='end in .mp4.*a.avi'):
        make_demo_video(tmp_path / 'a.avi')
    assert list(tmp_path.iterdir()) == []


def test_tool(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location('make_demo_video', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    path = tmp_path / 'a.mp4'
    tool.main([
        str(path), '--num-frames', '5', '--size', '96', '64', '--seed', '3',
        '--fps', '5', '--num-objects', '2'
    ])
    assert str(path) in capsys.readouterr().out
    frames, fps = decode(path)
    assert len(frames) == 5 and fps == 5 and frames[0].shape == (64, 96, 3)
