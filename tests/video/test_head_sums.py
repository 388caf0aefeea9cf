"""What a container says of its pictures is what it said when it was written.

Most of these bits FFmpeg takes as they are: films mirrored or turned, of
another rate, shorter, or with frames in other places.
"""
import numpy as np
import pytest
from bar_films import NUM, flip, number_of, prepared, remux, write

from dora_mm.video.readers import PyAVReader, VideoDecodeError, build_reader


@pytest.mark.parametrize('encoding', ['mjpeg', 'h264'])
def test_no_bit_of_a_prepared_head_is_believed(tmp_path, encoding):
    """Damaged before it is indexed; FFmpeg refuses a tenth of them."""
    path, _ = prepared(
        write(tmp_path / 'film.mp4'), tmp_path / 'out', encoding=encoding)
    data = open(path, 'rb').read()
    begin = data.rindex(b'moov') - 4
    end = begin + int.from_bytes(data[begin:begin + 4], 'big')
    copy = tmp_path / 'copy.mp4'
    for place in np.random.default_rng(0).integers(begin, end, 60):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        copy.write_bytes(damaged)
        with pytest.raises(ValueError, match='header|video'):
            build_reader(str(copy))
    # What another program has packed anew holds no such checksum.
    packed = build_reader(remux(path, tmp_path / 'packed.mp4'))
    shown = packed.get_frames([0, 77, NUM - 1])
    assert [number_of(frame) for frame in shown] == [0, 77, NUM - 1]


@pytest.mark.parametrize('suffix, mark, offset', [
    ('.mp4', b'tkhd', 44 + 3),  # a of the display matrix
    ('.mkv', b'\x76\x75', 3),  # sign of the angle, a float behind its length
])
def test_a_film_that_is_turned_since_its_index(tmp_path, suffix, mark, offset):
    path = write(tmp_path / 'film.mp4', rotation=90)
    if suffix == '.mkv':
        path = remux(path, tmp_path / 'film.mkv')
    right = PyAVReader(path).get_frames([7])
    place = open(path, 'rb').read().index(mark) + offset
    flip(path, place, 128)
    with pytest.raises(VideoDecodeError, match='header'):
        PyAVReader(path).get_frames([7])
    flip(path, place, 128)
    assert np.array_equal(PyAVReader(path).get_frames([7]), right)
