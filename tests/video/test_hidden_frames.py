"""Films whose faults or containers hide frames that are there."""
import subprocess

import imageio_ffmpeg
import pytest
from bar_films import NUM, number_of, prepared, write

from dora_mm.video.readers import build_reader


def test_a_lost_packet_of_a_broadcast_costs_its_group(tmp_path):
    """All behind it was left out without a word."""
    path = write(tmp_path / 'film.ts', x264='keyint=12:bframes=2')
    data = open(path, 'rb').read()
    cells = [data[i:i + 188] for i in range(0, len(data), 188)]
    # Of the film, and not the first of a picture.
    inner = [i for i, cell in enumerate(cells)
             if cell[1:3] == b'\x01\x00' and i > len(cells) // 2]
    del cells[inner[0]]
    open(path, 'wb').write(b''.join(cells))
    copy, manifest = prepared(path, tmp_path / 'out')
    (begin, end, reason), = manifest.excluded
    assert reason == 'undecodable' and 50 < begin < end < begin + 26
    frames = build_reader(copy).get_frames(range(NUM))
    sound = [n for n in range(NUM) if not begin <= n < end]
    assert [number_of(frames[n]) for n in sound] == sound


def test_a_film_that_cannot_be_sought_is_prepared(tmp_path):
    """A seek in Dirac loses the first picture, so none seemed to be there."""
    path = str(tmp_path / 'film.mkv')
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i']
    command += [write(tmp_path / 'film.mp4'), '-c:v', 'vc2', '-pix_fmt']
    subprocess.run([*command, 'yuv420p10le', path], check=True)
    with pytest.raises(ValueError, match='not when they are sought'):
        build_reader(path)
    copy, manifest = prepared(path, tmp_path / 'out')
    assert not [r for r in manifest.excluded if r[2] == 'undecodable']
    frames = build_reader(copy).get_frames(range(NUM))
    assert [number_of(frame) for frame in frames] == list(range(NUM))
