"""What a file crops is cropped in every reader, as FFmpeg 7.1 does it.

The right value is FFmpeg's own crop of the stored picture, turned by hand.
"""
import struct
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
from bar_films import HEIGHT, NUM, WIDTH, by_ffmpeg, prepared, remux, write

from dora_mm.datasets.transforms import LoadClipFromBlock
from dora_mm.video.readers import (DecordReader, MJPEGReader, PyAVReader,
                                   VideoDecodeError, build_reader)
from dora_mm.video.readers.probe_video import probe_video

_INSIDE = ['moov', 'trak', 'mdia', 'minf', 'stbl', 'stsd', 'avc1']


def _write_clap(path, crop):
    """Put a box into the film's sample entry; ``moov`` is its last box."""
    left, right, top, bottom = crop
    width, height = WIDTH - left - right, HEIGHT - top - bottom
    # Size and distance of its centre from that of the picture, as fractions.
    clap = struct.pack('>I4s8i', 40, b'clap', width, 1, height, 1,
                       left - right, 2, top - bottom, 2)
    data = bytearray(open(path, 'rb').read())
    begin = 0
    for name in _INSIDE:
        kind = b''
        while kind != name.encode():
            size, kind = struct.unpack('>I4s', data[begin:begin + 8])
            begin += size
        begin -= size
        data[begin:begin + 4] = struct.pack('>I', size + len(clap))
        end = begin + size
        begin += 16 if name == 'stsd' else 8
    data[end:end] = clap
    open(path, 'wb').write(data)
    return path


def _cropped(path, crop, size):
    """The first picture as it is stored, uint8 (H, W, 3), cropped alone."""
    left, right, top, bottom = crop
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error']
    command += ['-noautorotate', '-i', path, '-vf', f'crop=iw-{left}-{right}:'
                f'ih-{top}-{bottom}:{left}:{top}', '-frames:v', '1']
    command += ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3)


# Odd numbers of pixels become whole samples of colour.
@pytest.mark.parametrize('suffix, crop, size, turn', [
    ('.mp4', (16, 24, 4, 12), (120, 48), 0),
    ('.mov', (15, 8, 3, 0), (136, 60), 0),
    ('.mkv', (16, 24, 4, 12), (120, 48), 0),
    ('.mkv', (0, 0, 16, 0), (160, 48), 90),
    ('.mp4', (16, 48, 4, 12), (96, 48), 90),
    ('.mp4', (32, 0, 0, 2), (128, 62), 180),
])
def test_each_reader_crops_and_then_turns(tmp_path, suffix, crop, size, turn):
    path = write(tmp_path / f'film{suffix.replace("mkv", "mp4")}',
                 rotation=turn or None)
    path = _write_clap(path, crop)
    if suffix == '.mkv':
        path = remux(path, tmp_path / 'film.mkv')
    expected = np.rot90(_cropped(path, crop, size), turn // 90).astype(int)
    shown = PyAVReader(path).get_frames([0, 77])
    assert shown.shape[1:] == expected.shape
    assert np.abs(shown[0] - expected).max() <= 2
    assert np.abs(shown[1] - expected).mean() > 10
    with pytest.raises(ValueError, match='not read right by decord'):
        DecordReader.check_video(probe_video(path))
    load = LoadClipFromBlock(short_side=HEIGHT)
    for begin in (0, 50):  # in the block, and beside it
        clip = load.transform(
            dict(
                video_path=path, frame_indices=np.array([0]), slot=0,
                windows=[(path, begin, NUM)], upcoming=None))['clip']
        assert clip[0].shape == expected.shape
        assert np.abs(clip[0] - expected).mean() < 4
    copy, manifest = prepared(path, tmp_path / 'out')
    made = build_reader(copy).get_frames([0])[0]
    assert made.shape == expected.shape
    assert np.abs(made - expected).mean() < 4
    assert f'{crop} pixels were left out' in ' '.join(manifest.notes)


def test_pixels_that_are_not_square_are_those_left(tmp_path):
    path = write(tmp_path / 'film.mp4', sar=Fraction(2, 1))
    picture = PyAVReader(_write_clap(path, (16, 24, 4, 12))).get_frames([9])[0]
    assert picture.shape == (48, 2 * 120, 3)


def test_jpegs_that_are_cropped_are_not_read_whole(tmp_path):
    """libjpeg knows nothing of the container."""
    path = str(tmp_path / 'film.mov')
    with av.open(path, 'w') as container:
        stream = container.add_stream('mjpeg', rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuvj420p'
        for level in range(0, 200, 10):
            picture = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert isinstance(build_reader(path), MJPEGReader)
    data = open(path, 'rb').read().replace(b'jpeg', b'avc1', 1)
    open(path, 'wb').write(data)
    _write_clap(path, (16, 24, 4, 12))
    data = open(path, 'rb').read().replace(b'avc1', b'jpeg', 1)
    open(path, 'wb').write(data)
    reader = build_reader(path)
    assert isinstance(reader, PyAVReader)
    assert reader.get_frames([7]).shape == (1, 48, 120, 3)


def test_another_crop_since_the_index_is_damage(tmp_path):
    path = _write_clap(write(tmp_path / 'film.mp4'), (16, 24, 4, 12))
    reader = PyAVReader(path)
    reader.get_frames([0])
    reader.close()
    data = bytearray(open(path, 'rb').read())
    data[data.index(b'clap') + 7] -= 2
    open(path, 'wb').write(data)
    with pytest.raises(VideoDecodeError, match='header'):
        reader.get_frames([0])


def test_a_crop_inside_h264_is_that_of_the_decoder(tmp_path):
    """Left, top, right, bottom; FFmpeg does whole 64 columns on the left."""
    whole = PyAVReader(write(tmp_path / 'whole.mp4')).get_frames([5])[0]
    path = write(tmp_path / 'film.mp4', x264='keyint=12:crop-rect=64,8,16,12')
    picture = PyAVReader(path).get_frames([5])[0]
    assert np.array_equal(picture, whole[8:HEIGHT - 12, 64:WIDTH - 16])
    first = PyAVReader(path).get_frames([0])[0]
    assert np.array_equal(first, by_ffmpeg(path, (80, 44)))
    copy, _ = prepared(path, tmp_path / 'out')
    made = build_reader(copy).get_frames([5])[0].astype(int)
    assert made.shape == (44, 80, 3) and np.abs(made - picture).mean() < 4
