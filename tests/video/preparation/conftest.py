"""Prepare small videos in this process, and read what came out."""
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
import video_factory

from dora_mm.video.preparation import source_video
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.write_video import write_video


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of two seconds, so that small videos have several."""
    monkeypatch.setattr(source_video, '_SEGMENT_SECONDS', 2)


@pytest.fixture
def prepare(tmp_path):
    """Prepare one video, raise its error, give what became of it."""

    def run(source, encoding='mjpeg', short_side=600, deface=False, **kwargs):
        done, errors = prepare_videos([str(source)], tmp_path / 'out',
                                      PrepareSettings(encoding, short_side,
                                                      deface), **kwargs)
        for error in errors.values():
            raise error
        return done[0]

    return run


@pytest.fixture
def make_video(tmp_path):
    """Write RGB pictures, or frames of the given numbers, as H.264."""

    def run(frames, name='source.mp4', fps=10, gop=20):
        frames = [
            video_factory.numbered_frame(f) if np.isscalar(f) else f
            for f in frames
        ]
        write_video(tmp_path / name, frames, Fraction(fps), gop)
        return tmp_path / name

    return run


def read_frames(path):
    """All frames, RGB, by plain decoding from the start."""
    with av.open(str(path)) as container:
        return [
            f.to_ndarray(format='rgb24') for f in container.decode(video=0)
        ]


def read_numbers(path):
    """Numbers of all frames of the factory's videos."""
    return [video_factory.read_number(f) for f in read_frames(path)]


@pytest.fixture
def numbers():
    return read_numbers


@pytest.fixture
def frames():
    return read_frames


@pytest.fixture
def fake_program(tmp_path, monkeypatch):
    """Put a shell script on the PATH, alone with what a shell needs."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name in ('sh', 'cp', 'cat'):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv('PATH', str(folder))

    def add(name, script):
        (folder / name).write_text(f'#!{folder}/sh\n{script}\n')
        (folder / name).chmod(0o755)

    return add
