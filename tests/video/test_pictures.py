"""What no picture can be made of is refused at the opening, with a way out.
"""
import re
import subprocess

import av
import imageio_ffmpeg
import numpy as np
import pytest
from bar_films import (HEIGHT, NUM, WIDTH, bars, by_ffmpeg, number_of, remux,
                       tinted, write)

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import PyAVReader, build_reader

_ONE = 1 << 16
_SKEWED = [_ONE, _ONE // 2, 0, 0, _ONE, 0, 0, 0, 1 << 30]
_THIRTY = [56756, -32768, 0, 32768, 56756, 0, 0, 0, 1 << 30]


def ffmpeg(*arguments):
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-y', *arguments],
        check=True)


def refusal(path, folder):
    """The sentence by which all that open a video refuse it."""
    said = set()
    for reader in (None, dict(type='PyAVReader'), dict(type='DecordReader')):
        with pytest.raises(ValueError) as error:
            build_reader(path, reader).num_frames
        said.add(str(error.value))
    done, errors = prepare_videos([path], folder, PrepareSettings())
    assert not done
    said.add(str(errors[path]))
    assert len(said) == 1
    return said.pop()


def follow(said, path, target):
    """Do what a sentence says."""
    arguments = re.search(r'ffmpeg (-i FILE .*OUT.mp4)', said)[1].split()
    places = dict(FILE=path, **{'OUT.mp4': str(target)})
    ffmpeg(*(places.get(argument, argument) for argument in arguments))
    return str(target)


def write_matrix(path, matrix, planes, **tags):
    """Frames of three planes, (3, H, W), by the name of their matrix."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            'libx264', rate=25, options=dict(crf='1', preset='veryfast'))
        stream.height, stream.width = planes[0].shape[1:]
        stream.pix_fmt = 'yuv444p'
        context = stream.codec_context
        context.colorspace, context.color_range = matrix, 1
        for name, value in tags.items():
            setattr(context, name, value)
        for frame in planes:
            image = av.VideoFrame.from_ndarray(frame, format='yuv444p')
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return str(path)


def ycgco(picture):
    """By ITU-T H.273, equations 44 to 46, limited range; uint8 (3, H, W)."""
    r, g, b = np.moveaxis(picture / 255, -1, 0)
    y, cg, co = r / 4 + g / 2 + b / 4, g / 2 - r / 4 - b / 4, r / 2 - b / 2
    values = [16 + 219 * y, 128 + 224 * cg, 128 + 224 * co]
    return np.rint(values).astype(np.uint8)


def test_ycgco_is_refused_and_the_remedy_converts_it(tmp_path):
    """Blue became green where it was prepared; as BT.601 it is."""
    pictures = [tinted(number)[..., ::-1] for number in range(20)]
    path = write_matrix(tmp_path / 'film.mp4', 8, list(map(ycgco, pictures)))
    said = refusal(path, tmp_path / 'out')
    assert 'matrix must be' in said and 'got YCgCo. ' in said
    copy = follow(said, path, tmp_path / 'copy.mp4')
    shown = build_reader(copy).get_frames(range(20))
    assert np.abs(shown - np.array(pictures, int)).mean() < 2
    # Which is not sought, but prepared.
    assert refusal(remux(path, tmp_path / 'film.ts'),
                   tmp_path / 'ts').split(': ', 1)[1] == said.split(': ', 1)[1]


@pytest.mark.parametrize(
    'matrix, name, tags',
    [(12, 'derived from the primaries', dict(color_primaries=1, color_trc=1)),
     (13, 'constant luminance', dict(color_primaries=9, color_trc=1)),
     (14, 'ICtCp', dict(color_primaries=9, color_trc=16))])
def test_other_matrices_are_named(tmp_path, matrix, name, tags):
    planes = [ycgco(tinted(number)) for number in range(20)]
    path = write_matrix(tmp_path / 'film.mp4', matrix, planes, **tags)
    said = refusal(path, tmp_path / 'out')
    assert f'{name}. ' in said
    copy = follow(said, path, tmp_path / 'copy.mp4')
    assert len(build_reader(copy).get_frames([0, 19])) == 2


def test_constant_luminance_is_read_as_it_is_prepared(tmp_path):
    """As BT.2020; each read failed."""
    y, u, v = (
        np.full((HEIGHT, WIDTH), value, np.uint8)
        for value in (16 + 52, 128 + 67, 128 + 84))
    path = write_matrix(tmp_path / 'film.mp4', 10, [np.array([y, u, v])] * 20)
    shown = build_reader(path).get_frames([3])[0].mean((0, 1)) / 255
    red = 52 / 219 + (2 - 2 * .2627) * 84 / 224
    blue = 52 / 219 + (2 - 2 * .0593) * 67 / 224
    assert np.abs(shown[[0, 2]] - [red, blue]).max() < .01


@pytest.mark.parametrize('matrix', [_SKEWED, _THIRTY])
def test_odd_display_matrices_are_refused(tmp_path, matrix):
    path = write(tmp_path / 'film.mp4', rotation=matrix)
    said = refusal(path, tmp_path / 'out')
    assert 'multiple of 90 degrees' in said and 'audit' not in said
    copy = follow(said, path, tmp_path / 'copy.mp4')
    assert len(build_reader(copy).get_frames([3])) == 1


def insert(film, rotation, target, others=''):
    """Let H.264 itself ask for a turn."""
    option = f'h264_metadata=display_orientation=insert:rotate={rotation}'
    ffmpeg('-i', film, '-c', 'copy', '-bsf:v', others + option, str(target))
    return str(target)


@pytest.mark.parametrize('rotation', [90, 180])
def test_turns_that_h264_asks_for(tmp_path, rotation):
    """Only the first frame behind the message came turned."""
    film = write(tmp_path / 'film.mp4')
    path = insert(film, rotation, tmp_path / 'sei.mp4')
    said = refusal(path, tmp_path / 'out')
    assert 'turned, but says so in the stream' in said
    copy = follow(said, path, tmp_path / 'copy.mp4')
    places = [0, 1, 77, NUM - 1]
    for number, frame in zip(places, PyAVReader(copy).get_frames(places)):
        upright = np.rot90(frame, -rotation // 90)  # it was turned leftwards
        assert upright.shape == (HEIGHT, WIDTH, 3)
        assert number_of(upright) == number
        assert np.abs(upright - bars(number).astype(int)).mean() < 4


def test_a_turn_on_the_way(tmp_path):
    film, whole = write(tmp_path / 'film.mp4'), tmp_path / 'film.h264'
    turned = insert(film, 90, tmp_path / 'part.h264', 'h264_mp4toannexb,')
    ffmpeg('-i', film, '-c', 'copy', str(whole))
    with open(whole, 'ab') as file:
        file.write(open(turned, 'rb').read())
    path = str(tmp_path / 'film.mp4')
    ffmpeg('-r', '25', '-i', str(whole), '-c', 'copy', path)
    assert 'says so in the stream' in refusal(path, tmp_path / 'out')


@pytest.mark.parametrize('matrix', [1, 6])
def test_interlaced_films_are_shown_as_ffmpeg_shows_them(tmp_path, matrix):
    """Colours were made field by field."""
    path = str(tmp_path / 'film.mp4')
    noise = np.random.default_rng(0).integers(0, 256, (16, 40, 3), np.uint8)
    picture = noise.repeat(4, 0).repeat(4, 1)
    options = dict(crf='5', preset='veryfast', flags='+ilme+ildct')
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.colorspace = matrix
        for number in range(20):
            image = av.VideoFrame.from_ndarray(
                np.roll(picture, number, 0), format='rgb24')
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    with av.open(path) as container:
        assert next(container.decode(video=0)).interlaced_frame
    expected = by_ffmpeg(path, (WIDTH, HEIGHT)).astype(int)
    shown = build_reader(path).get_frames([0])[0]
    assert np.abs(shown - expected).mean() < .1
    decord = build_reader(path, dict(type='DecordReader')).get_frames([0])[0]
    assert np.abs(decord - expected).mean() < .1
