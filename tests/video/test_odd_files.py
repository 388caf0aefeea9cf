"""Names and permissions that are not the fault of a video's content."""
import os
import shutil
from importlib import import_module, reload

import av
import numpy as np
import pytest
from video_factory import write_video

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import build_reader
from dora_mm.video.readers.ffmpeg_command import ffmpeg_command
from dora_mm.video.video_files import find_video_files


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video') / 'v.mp4', 12)


@pytest.mark.parametrize('name', [
    '12:30.mp4', '1²2.mp4', '%03d.mp4', '-i.mp4', "it's #1?.mp4",
    'concat:a|b.mp4', 'é' * 116 + '.mp4'])
def test_odd_names_are_read(video, tmp_path, monkeypatch, name):
    """Relative, so that a protocol could be seen in them."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(video, name)
    shutil.copy(video, 'a2.mp4')
    assert set(find_video_files('.')) == {name, 'a2.mp4'}
    assert len(build_reader(name).get_frames([3, 7])) == 2


def test_a_name_that_is_not_utf8_is_told(video, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b'/\xff.mp4')
    shutil.copy(video, path)
    for read in (find_video_files, build_reader):
        with pytest.raises(ValueError, match=r'UTF-8, but got .*\\xff.mp4'):
            read(path)


def test_a_name_that_leaves_no_room_is_told(video, tmp_path):
    """251 bytes, to which '.json' and the rest would be added."""
    path = tmp_path / f'{"a" * 247}.mp4'
    shutil.copy(video, path)
    assert len(build_reader(str(path)).get_frames([3])) == 1
    with pytest.raises(ValueError, match='at most 236 bytes .*got 247'):
        prepare_videos([str(path)], tmp_path / 'out', PrepareSettings())


def test_a_title_that_is_not_utf8_is_no_fault(tmp_path):
    """Old films have them in Latin-1."""
    path = str(tmp_path / 'film.avi')
    with av.open(path, 'w') as container:
        container.metadata['title'] = 'Caf?'
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height = 64, 48
        for level in (0, 90, 180):
            frame = np.full((48, 64, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = open(path, 'rb').read()
    assert data.count(b'Caf?') == 1
    open(path, 'wb').write(data.replace(b'Caf?', b'Caf\xe9'))
    assert abs(int(build_reader(path).get_frames([1]).mean()) - 90) < 9


def test_films_open_with_pyav_19(video, monkeypatch):
    """It takes no metadata_errors, so that no film could be opened."""
    module = import_module('dora_mm.video.readers.open_film')
    inner = av.open
    monkeypatch.setattr(av, 'open', lambda file, mode=None: inner(file, mode))
    monkeypatch.setattr(av, '__version__', '19.0.2')
    reload(module).open_film(str(video))[0].close()
    monkeypatch.undo()
    reload(module)


def test_a_stream_without_a_decoder_is_told(tmp_path):
    path = write_video(tmp_path / 'film.mp4', 12)
    data = open(path, 'rb').read()
    assert data.count(b'avc1') >= 2  # one is a brand
    place = data.rindex(b'avc1')
    open(path, 'wb').write(data[:place] + b'zzz1' + data[place + 4:])
    with pytest.raises(ValueError, match='no video stream that FFmpeg can'):
        build_reader(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(
        video, monkeypatch):
    """Asked of the system: root may read all."""
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    for read in (find_video_files, build_reader):
        with pytest.raises(ValueError, match='readable, .*permission') as e:
            read(video)
        assert 'ownload' not in str(e.value)


def test_ffmpeg_is_named_with_how_to_get_it(tmp_path, monkeypatch):
    """It was proposed where there was none."""
    monkeypatch.setenv('PATH', str(tmp_path))
    assert 'apt install ffmpeg' in ffmpeg_command('-i FILE OUT.mp4')
    (tmp_path / 'ffmpeg').touch(0o755)
    assert ffmpeg_command('-i FILE OUT.mp4') == 'ffmpeg -i FILE OUT.mp4'
