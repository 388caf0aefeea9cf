"""Preparation shows pictures as FFmpeg's own program does."""
from fractions import Fraction

import av
import numpy as np
import pytest
from bar_films import (HEIGHT, NUM, WIDTH, by_ffmpeg, number_of, prepared,
                       tinted, write, write_streams)

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import PyAVReader, build_reader

_QUARTER = 1 << 16
_SLANTED = [_QUARTER, _QUARTER, 0, -_QUARTER, _QUARTER, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize('rotation', [90, 180, 270])
def test_turned(tmp_path, rotation):
    path = write(tmp_path / 'film.mp4', rotation=rotation)
    size = (WIDTH, HEIGHT) if rotation == 180 else (HEIGHT, WIDTH)
    copy, _ = prepared(path, tmp_path / 'out')
    shown = build_reader(copy).get_frames([0])[0]
    expected = by_ffmpeg(path, size).astype(int)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 4


def test_pixels_that_are_not_square(tmp_path):
    path = write(tmp_path / 'film.mp4', sar=Fraction(2, 1))
    copy, manifest = prepared(path, tmp_path / 'out')
    frames = build_reader(copy).get_frames([0, 77, NUM - 1])
    assert frames.shape[1:] == (HEIGHT, 2 * WIDTH, 3)
    assert [number_of(frame) for frame in frames] == [0, 77, NUM - 1]
    assert 'pixels of 2:1 were made square' in manifest.notes


def test_a_picture_that_is_turned_askew_is_refused(tmp_path):
    path = write(tmp_path / 'film.mp4', rotation=_SLANTED)
    with pytest.raises(ValueError, match='multiple of 90 degrees'):
        build_reader(path).get_frames([3])
    done, errors = prepare_videos([path], tmp_path / 'out', PrepareSettings())
    assert not done and 'multiple of 90 degrees' in str(errors[path])


@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('matrix', [1, 2, 5, 7, 9])
def test_colours_are_those_that_the_file_names(tmp_path, matrix, full):
    """BT.709, none, BT.601, SMPTE 240M and BT.2020."""
    path = str(tmp_path / 'film.mp4')
    colours = np.random.default_rng(0).integers(0, 256, (10, 3), np.uint8)
    picture = colours.repeat(WIDTH // 10, 0)[None].repeat(HEIGHT, 0)
    options = dict(preset='veryfast', crf='5')
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = 'yuv420p'
        context = stream.codec_context
        context.thread_count = 1
        context.colorspace, context.color_range = matrix, 2 if full else 1
        for _ in range(4):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    expected = by_ffmpeg(path, (WIDTH, HEIGHT)).astype(int)
    shown = PyAVReader(path).get_frames([2])[0]
    assert np.abs(shown - expected).max() <= 2
    copy, _ = prepared(path, tmp_path / 'out')
    shown = build_reader(copy).get_frames([2])[0]
    middles = slice(WIDTH // 20, None, WIDTH // 10)
    assert np.abs(shown - expected)[:, middles].max() <= 6


def test_a_stream_that_changes_on_the_way(tmp_path):
    """Another pixel format and colour is followed, another shape left out."""
    path = write_streams(tmp_path / 'film.mkv', [
        dict(colorspace=5, color_range=1),
        dict(colorspace=1, color_range=2),
        dict(pix_fmt='yuv444p', colorspace=1, color_range=1),
        dict(size=(80, HEIGHT)),
    ])
    copy, manifest = prepared(path, tmp_path / 'out')
    assert [120, 160, 'undecodable'] in map(list, manifest.excluded)
    frames = build_reader(copy).get_frames(range(120))
    for number in (0, 39, 40, 79, 80, 119):
        assert number_of(frames[number]) == number
        assert np.abs(frames[number] - tinted(number).astype(int)).mean() < 3
    shown = PyAVReader(path).get_frames([39, 79, 119])
    for number, frame in zip((39, 79, 119), shown):
        assert np.abs(frame - tinted(number).astype(int)).mean() < 3
