"""Errors of H.264 are reported, those of what was cut off are none."""
import subprocess

import av
import imageio_ffmpeg
import numpy as np
from random_films import make_film, picture

from dora_mm.video.readers import PyAVReader, build_reader

SIZE = (128, 64)


def all_by_ffmpeg(path, shape):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'fatal', '-i', path]
    command += ['-fps_mode', 'passthrough', '-f', 'rawvideo']
    command += ['-pix_fmt', 'rgb24', '-sws_flags', 'bilinear', '-']
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, *shape)


def test_a_film_that_drops_what_was_cut_off_is_read(tmp_path):
    """As FFmpeg's program shows it; its errors were taken for damage."""
    film = make_film(tmp_path, 2687)
    frames = build_reader(film.path).get_frames(range(75))
    shown = all_by_ffmpeg(film.path, frames.shape[1:]).astype(int)
    # The program begins with pictures on grey, in front of the key frame.
    shown = shown[-len(frames):]
    assert np.abs(shown - frames).max() <= 2
    right = [picture(n, 128, frames.shape[1]) for n in range(107)][-75:]
    assert np.abs(frames.astype(int) - right).mean((1, 2, 3)).max() < 6


def stretch(path):
    """Frames by number that come out when the film is read in one go."""
    reader = PyAVReader(path)
    frames = reader.iter_frames(0, reader.num_frames)
    return {n: reader.to_rgb(frame) for n, frame in frames}


def test_groups_behind_a_damaged_one_are_right(tmp_path):
    """FFmpeg adds coefficients of a picture broken off to a later one."""
    path = str(tmp_path / 'film.mp4')
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height = SIZE
        stream.options = {'x264-params': 'cabac=0:qp=16:keyint=8:threads=1'}
        for number in range(48):
            image = av.VideoFrame.from_ndarray(
                picture(number, *SIZE), format='rgb24')
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    right = stretch(path)
    data = open(path, 'rb').read()
    begin, end = data.index(b'mdat') + 4, data.rindex(b'moov') - 4
    begin += (end - begin) // 4  # the first key frame stays whole
    damaged = 0
    for turn in range(16):
        copy = bytearray(data)
        copy[begin + (end - begin) * (2 * turn + 1) // 32] ^= 16
        file = tmp_path / f'{turn}.mp4'
        file.write_bytes(copy)
        found = stretch(str(file))
        lost = set(right) - set(found)
        damaged += bool(lost)
        for number in range(max(lost, default=47) + 1, 48):
            assert np.array_equal(found[number], right[number])
    assert damaged >= 8
