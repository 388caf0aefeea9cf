"""yt-dlp and deface, by stand-ins on the PATH."""
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from video_factory import write_video

from dora_mm.video.preparation.deface_video import deface_video, find_deface
from dora_mm.video.preparation.walking_tours import (WALKING_TOURS,
                                                     download_tour,
                                                     parse_tours)


def test_names_of_tours():
    assert len(parse_tours('all')) == len(WALKING_TOURS) == 10
    assert parse_tours('Venice, Zurich') == ['Venice', 'Zurich']
    with pytest.raises(ValueError, match="'Venise' is unknown.*Venice"):
        parse_tours('Venise')


def test_download_command(tmp_path, fake_program):
    fake_program(
        'yt-dlp', f'''for a in "$@"; do echo "$a"; done > {tmp_path}/args
echo video > {tmp_path}/originals/Zurich.webm''')
    folder = tmp_path / 'originals'
    path = download_tour('Zurich', folder)
    assert path == str(folder / 'Zurich.webm')
    args = (tmp_path / 'args').read_text().splitlines()
    assert args == [
        '--format', 'bv[height<=2160]', '--output',
        str(folder / 'Zurich.%(ext)s'), '--', '_NmYvuEILw4'
    ]
    # It is there now.
    os.remove(tmp_path / 'args')
    assert download_tour('Zurich', folder) == path
    assert not (tmp_path / 'args').exists()


def test_download_that_fails(tmp_path, fake_program):
    with pytest.raises(ValueError, match='pip install yt-dlp'):
        download_tour('Venice', tmp_path)
    # What yt-dlp leaves behind when it is stopped is no video.
    fake_program('yt-dlp', f'echo half > {tmp_path}/Venice.mp4.part; exit 1')
    with pytest.raises(ValueError, match=r'Venice \(status 1\)'):
        download_tour('Venice', tmp_path)


def test_deface_goes_first(tmp_path, fake_program, prepare, numbers):
    source = write_video(tmp_path / 'walk.mp4', 40)
    with pytest.raises(ValueError, match='pip install deface'):
        find_deface()
    # The stand-in takes another video for the one with blurred faces.
    blurred = write_video(tmp_path / 'blurred.mp4', 40, gop=5)
    fake_program(
        'deface', f'''for a in "$@"; do echo "$a"; done > {tmp_path}/args
cp {blurred} "$2"''')
    done = prepare(source, deface=True)
    args = (tmp_path / 'args').read_text().splitlines()
    assert args[0] == '--output' and args[-1] == source
    assert args[2] == '--ffmpeg-config'
    assert json.loads(args[3])['codec'] == 'libx264'
    assert numbers(done.path) == list(range(40))
    manifest = done.manifest
    assert manifest.source['name'] == 'walk.mp4'
    assert manifest.source['bytes'] == os.path.getsize(source)
    assert manifest.settings['deface'] is True
    assert 'faces were blurred' in manifest.notes[0]


def test_deface_is_its_own_step(tmp_path, fake_program):
    source = write_video(tmp_path / 'walk.mp4', 40)
    fake_program('deface', f'echo x >> {tmp_path}/calls; cp {source} "$2"')
    first = deface_video(source, tmp_path)
    assert deface_video(source, tmp_path) == first
    assert (tmp_path / 'calls').read_text() == 'x\n'


def test_deface_in_two_processes(tmp_path, fake_program):
    """The second removed the file that the first was writing."""
    source = write_video(tmp_path / 'walk.mp4', 40)
    folder, first, fifo = (tmp_path / name for name in ('to', 'one', 'fifo'))
    folder.mkdir()
    os.mkfifo(fifo)
    # As a program that has its output open from begin to end.
    fake_program(
        'deface', f'''exec 3> "$2"
if [ ! -e {first} ]; then : > {first}; cat {fifo} > /dev/null; fi
cat {source} >&3''')
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(deface_video, source, folder)
        with open(fifo, 'w'):  # it is open when the first reads
            deface_video(source, folder)
        assert slow.result() == str(folder / 'defaced.mp4')
    assert os.listdir(folder) == ['defaced.mp4']
    assert Path(slow.result()).read_bytes() == Path(source).read_bytes()


def test_deface_that_fails(tmp_path, fake_program):
    source = write_video(tmp_path / 'walk.mp4', 40)
    fake_program('deface', 'echo no memory >&2; exit 3')
    with pytest.raises(ValueError, match='status 3: no memory'):
        deface_video(source, tmp_path)
    short = write_video(tmp_path / 'short.mp4', 39)
    fake_program('deface', f'cp {short} "$2"')
    with pytest.raises(ValueError, match='39 frames of the 40'):
        deface_video(source, tmp_path)
    assert not (tmp_path / 'defaced.mp4').exists()
    assert not list(tmp_path.glob('.*.mp4'))
