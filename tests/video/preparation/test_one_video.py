"""The way of one video: parts, resuming, comparison, what is in the way."""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest
from clean_python import run
from mmengine.logging import MMLogger
from video_factory import numbered_frame, write_video

from dora_mm.utils.this_host import this_host
from dora_mm.video.preparation import disk_space, video_preparation
from dora_mm.video.preparation.disk_space import DiskSpace
from dora_mm.video.preparation.part_store import PartStore
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.segment_job import encode_segment
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.video_manifest import VideoManifest

KILLED = '''
import os, signal, sys
from pathlib import Path
from dora_mm.video.preparation import part_store, source_video
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos

source_video._SEGMENT_SECONDS = 2
finish, calls = part_store.PartStore.finish, []

def killed(self, *args):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    finish(self, *args)

part_store.PartStore.finish = killed
prepare_videos([sys.argv[1]], Path(sys.argv[2]), PrepareSettings(sys.argv[3]))
'''


def count_encoded(monkeypatch):
    """List that grows with each segment encoded."""
    encoded = []

    def counting(job, progress):
        encoded.append(job.segment.number)
        return encode_segment(job, progress)

    monkeypatch.setattr(video_preparation, 'encode_segment', counting)
    return encoded


def num_segments(source):
    return len(SourceVideo(source).segments())


def packets(path):
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


def test_killed_run_is_resumed(tmp_path, prepare, monkeypatch):
    encoding = 'h264'  # whose packets depend on the ones before
    source = write_video(tmp_path / 'walk.mp4', 120)
    whole = prepare(source, encoding)
    expected = packets(whole.path)
    shutil.rmtree(tmp_path / 'out')

    killed = run(sys.executable, '-c', KILLED, source, tmp_path / 'out',
                 encoding)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert os.listdir(tmp_path / 'out') == ['.walk.parts']
    encoded = count_encoded(monkeypatch)
    resumed = prepare(source, encoding)
    # Two were finished; of the third there was a video alone.
    assert encoded == list(range(2, num_segments(source)))
    assert packets(resumed.path) == expected
    assert resumed.manifest == whole.manifest
    assert sorted(os.listdir(tmp_path /
                             'out')) == ['walk.mp4', 'walk.mp4.json']


def test_half_written_and_stale_parts_are_redone(tmp_path, prepare,
                                                 monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 80)
    monkeypatch.setattr(
        video_preparation, 'assemble_parts', lambda *args:
        (_ for _ in ()).throw(OSError('no space left')))
    with pytest.raises(OSError, match='no space left'):
        prepare(source)
    parts = sorted((tmp_path / 'out' / '.walk.parts').glob('*.mp4'))
    everything = list(range(num_segments(source)))
    assert [int(p.name[:5]) for p in parts] == everything
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    parts[2].with_suffix('.npz').write_bytes(b'')
    encoded = count_encoded(monkeypatch)
    with pytest.raises(OSError):
        prepare(source)
    assert encoded == [1, 2]
    # Of another size: nothing of it is of use, and it goes; so does what a
    # process left that was killed long ago.
    left = parts[0].with_name('.00000-left.mp4')
    fresh = parts[0].with_name('.00000-fresh.mp4')
    for path in (left, fresh):
        path.write_bytes(b'half')
    os.utime(left, (0, 0))
    encoded.clear()
    with pytest.raises(OSError):
        prepare(source, short_side=24)
    assert encoded == everything
    assert not any(part.exists() for part in [*parts, left])
    assert fresh.exists()


def test_again_does_nothing(tmp_path, prepare, monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 30)
    first = prepare(source)
    before = first.path.stat()
    encoded = count_encoded(monkeypatch)
    again = prepare(source)
    assert (first.status, again.status) == ('prepared', 'was finished')
    assert again.manifest == first.manifest
    assert encoded == [] and first.path.stat() == before
    assert sorted(os.listdir(tmp_path /
                             'out')) == ['walk.mp4', 'walk.mp4.json']


def test_a_video_of_an_earlier_version_is_kept(tmp_path, prepare, caplog):
    """Its JPEGs cannot be cut, and are right."""
    MMLogger.get_instance('earlier').addHandler(caplog.handler)
    source = write_video(tmp_path / 'walk.mp4', 30)
    first = prepare(source)
    settings = dict(first.manifest.settings)
    del settings['most_blocks_a_stretch']
    replace(first.manifest, settings=settings).save(first.path)
    assert prepare(source).status == 'was finished'
    assert '--overwrite makes it anew' in caplog.text
    assert prepare(source, overwrite=True).status == 'prepared'


@pytest.mark.parametrize('encoding', ['mjpeg', 'h264'])
@pytest.mark.parametrize('where', ['crc32', 'mdat', 'stsz', 'mvhd'])
def test_a_damaged_result_is_made_anew(tmp_path, prepare, encoding, where):
    """As its errors say; it counted as finished, whatever its bytes."""
    source = write_video(tmp_path / 'walk.mp4', 40)
    path = prepare(source, encoding).path
    sound = path.read_bytes()
    assert prepare(source, encoding, overwrite=True).status == 'was finished'
    behind = dict(crc32=2, mdat=2000).get(where, 21)
    place = sound.rindex(where.encode()) + behind
    path.write_bytes(sound[:place] + bytes([sound[place] ^ 8]) +
                     sound[place + 1:])
    assert prepare(source, encoding).status == 'was finished'
    assert prepare(source, encoding, overwrite=True).status == 'prepared'
    assert path.read_bytes() == sound


def test_another_process_was_first(tmp_path, prepare, monkeypatch):
    """The second one ended with errno 2, though all was done."""
    source = write_video(tmp_path / 'walk.mp4', 40)
    path = prepare(source).path
    files = {p: p.read_bytes() for p in (path, VideoManifest.path_of(path))}
    for file in files:
        file.unlink()

    def lose_parts(self, *args):
        for file, data in files.items():
            file.write_bytes(data)
        raise FileNotFoundError(2, 'No such file', 'out/.walk.parts/0.mp4')

    monkeypatch.setattr(video_preparation.VideoPreparation, '_encode',
                        lose_parts)
    assert prepare(source).status == 'prepared'
    # A damaged result that was to be replaced is no success.
    files[path] = files[path].replace(b'stsz', b'stsx')
    path.write_bytes(files[path])
    with pytest.raises(FileNotFoundError):
        prepare(source, overwrite=True)
    for file in files:
        file.unlink()
    files.clear()
    with pytest.raises(FileNotFoundError):
        prepare(source)


def test_what_differs_is_named(tmp_path, prepare, numbers):
    source = write_video(tmp_path / 'walk.mp4', 30)
    path = prepare(source).path
    with pytest.raises(
            ValueError, match="short_side was 600 and is 24.*"
            '--overwrite'):
        prepare(source, short_side=24)
    with pytest.raises(ValueError, match="encoding was 'mjpeg'"):
        prepare(source, 'h264')
    write_video(tmp_path / 'walk.mp4', 31)
    with pytest.raises(ValueError, match='source.s bytes was'):
        prepare(source)
    assert len(numbers(path)) == 30  # nothing was touched
    assert len(numbers(prepare(source, overwrite=True).path)) == 31

    with open(path, 'r+b') as file:
        file.truncate(1000)
    with pytest.raises(ValueError, match="the file's bytes"):
        prepare(source)
    os.remove(f'{path}.json')
    with pytest.raises(ValueError, match='no manifest'):
        prepare(source)
    VideoManifest.path_of(path).write_text('{')
    with pytest.raises(ValueError, match='not a manifest'):
        prepare(source)
    assert prepare(source, overwrite=True).status == 'prepared'


def test_source_is_known_by_its_content(tmp_path, prepare, monkeypatch):
    """A copy, and a disk mounted anew, were another file by its time."""
    source = write_video(tmp_path / 'walk.mp4', 80)
    inner = video_preparation.assemble_parts
    monkeypatch.setattr(
        video_preparation, 'assemble_parts', lambda *args:
        (_ for _ in ()).throw(OSError('no space left')))
    with pytest.raises(OSError, match='no space left'):
        prepare(source)
    monkeypatch.setattr(video_preparation, 'assemble_parts', inner)
    os.utime(source, (0, 0))
    encoded = count_encoded(monkeypatch)
    path = prepare(source).path
    assert encoded == []
    (tmp_path / 'copies').mkdir()
    copy = shutil.copy(source, tmp_path / 'copies' / 'walk.mov')
    assert prepare(copy).status == 'was finished'

    # Of a manifest of before, which has no hash, name and size are to agree.
    manifest = VideoManifest.load(path)
    old = dict(manifest.source, mtime_ns=1)
    del old['sample_sha256']
    replace(manifest, source=old).save(path)
    assert prepare(source).status == 'was finished'
    with pytest.raises(ValueError, match="name was 'walk.mp4' and is 'walk.m"):
        prepare(copy)
    replace(manifest, source=dict(old, bytes=9)).save(path)
    with pytest.raises(ValueError, match="source's bytes was 9"):
        prepare(source)

    manifest.save(path)
    with open(source, 'r+b') as file:  # the size stays
        file.seek(-1, os.SEEK_END)
        last = file.read()
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(ValueError, match="source's sample_sha256 was"):
        prepare(source)


def test_comparison_finds_swapped_frames(tmp_path, prepare, monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 60)

    inner = video_preparation.assemble_parts

    def swapped(paths, target, fps):
        inner(paths[::-1], target, fps)

    monkeypatch.setattr(video_preparation, 'assemble_parts', swapped)
    with pytest.raises(ValueError, match='frames differ') as error:
        prepare(source)
    assert str(tmp_path / 'out' / '.walk.parts') in str(error.value)
    # Nothing was removed, and nothing passes for a result.
    assert os.listdir(tmp_path / 'out') == ['.walk.parts']
    parts = (tmp_path / 'out' / '.walk.parts').glob('*.npz')
    assert len(list(parts)) == num_segments(source)


@pytest.mark.parametrize('shift', [-1, 1])
def test_comparison_finds_a_neighbour(shift, make_video, prepare, monkeypatch):
    # A slow change: the wrong frame by itself looks good enough.
    picture = np.zeros((48, 128, 3), np.uint8)
    picture[:, :64] = np.linspace(20, 200, 64, dtype=np.uint8)[:, None]
    source = make_video([np.roll(picture, 2 * i, 1) for i in range(60)])
    inner = SourceVideo.iter_shown
    good = prepare(source)
    assert good.manifest.verified['told_from_neighbours'] >= 14

    def off(self, segment):
        frames = list(inner(self, segment))
        rolled = frames[-shift:] + frames[:-shift]
        yield from rolled

    monkeypatch.setattr(SourceVideo, 'iter_shown', off)
    word = 'earlier' if shift == 1 else 'later'
    with pytest.raises(ValueError, match=f'source 1 frame {word} better'):
        prepare(source, overwrite=True, short_side=46)


def test_comparison_finds_a_missing_frame(tmp_path, prepare, monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 60)
    inner = video_preparation.assemble_parts
    monkeypatch.setattr(video_preparation, 'assemble_parts',
                        lambda paths, *args: inner(paths[:-1], *args))
    with pytest.raises(ValueError, match=r'it has \d\d frames instead of 60'):
        prepare(source)


def test_full_disk_is_said_before(tmp_path, prepare, monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 80)
    encoded = count_encoded(monkeypatch)
    monkeypatch.setattr(disk_space.shutil, 'disk_usage',
                        lambda folder: SimpleNamespace(free=12345))
    with pytest.raises(OSError, match=r'needs about 0\.\d MB .* 0\.0 MB are'):
        prepare(source)
    assert encoded == []
    monkeypatch.undo()


def test_disk_estimate_is_about_right(tmp_path, prepare, monkeypatch):
    source = write_video(tmp_path / 'walk.mp4', 80)
    needed = []
    monkeypatch.setattr(DiskSpace, 'reserve',
                        lambda self, name, size: needed.append(size))
    monkeypatch.setattr(DiskSpace, 'wrote', lambda *args: None)
    size = prepare(source).path.stat().st_size
    assert 2 * size < needed[0] < 3 * size


def test_disk_space_adds_up(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space.shutil, 'disk_usage',
                        lambda folder: SimpleNamespace(free=100e6))
    disk = DiskSpace(tmp_path)
    disk.reserve('a', 60_000_000)
    with pytest.raises(OSError, match='60.0 MB for others'):
        disk.reserve('b', 50_000_000)
    disk.wrote('a', 20_000_000)
    disk.reserve('b', 50_000_000)
    disk.release('a')
    disk.reserve('c', 50_000_000)


def test_two_videos_and_one_failure(tmp_path):
    good = write_video(tmp_path / 'good.mp4', 20)
    bad = tmp_path / 'bad.mp4'
    bad.write_text('not a video')
    done, errors = prepare_videos([str(bad), good], tmp_path / 'out',
                                  PrepareSettings())
    assert [d.path.name for d in done] == ['good.mp4']
    assert list(errors) == [str(bad)]
    assert 'cannot be opened as a video' in str(errors[str(bad)])


def test_lock(tmp_path):
    store = PartStore(tmp_path, {})
    with store.lock() as mine:
        assert mine
        with store.lock() as second:
            assert not second
        assert store.lock_path.exists()  # the second has not removed it
    assert os.listdir(tmp_path) == []

    # Its owner was killed.
    dead = subprocess.Popen(['true'])
    dead.wait()
    store.lock_path.write_text(json.dumps([this_host(), dead.pid]))
    with store.lock() as mine:
        assert mine
    # On another machine nobody can tell.
    store.lock_path.write_text(json.dumps(['elsewhere', dead.pid]))
    with store.lock() as mine:
        assert not mine


@pytest.mark.parametrize('folder_stays', [False, True])
@pytest.mark.parametrize('overwrite', [False, True])
def test_the_same_command_in_two_processes(tmp_path, prepare, monkeypatch,
                                           overwrite, folder_stays):
    """The slower one failed with an AttributeError, or called the finished
    video one that waits for other jobs, and left its parts behind."""
    source, first = write_video(tmp_path / 'walk.mp4', 120), []
    if overwrite:
        prepare(source, short_side=48)
    last = num_segments(source) - 1

    def encode(job, progress):
        if job.segment.number == last and not first:
            first.append(None)
            first[0] = prepare(source, overwrite=overwrite)
            if folder_stays:  # it was not empty when it was to be removed
                job.store.folder.mkdir()
        return encode_segment(job, progress)

    monkeypatch.setattr(video_preparation, 'encode_segment', encode)
    second = prepare(source, overwrite=overwrite)
    assert second.status == first[0].status == 'prepared'
    assert second.manifest == first[0].manifest
    assert sorted(os.listdir(tmp_path / 'out')) == ['walk.mp4',
                                                    'walk.mp4.json']


def test_a_lock_is_taken_over_once(tmp_path, monkeypatch):
    """Who looked before another took it over removed the other's."""
    store, taken = PartStore(tmp_path, {}), []
    store.lock_path.write_text(json.dumps([this_host(), 7]))

    def kill(pid, number):
        """Another process is faster, in the middle of our look."""
        if not taken:
            taken.append(None)
            taken[0] = stack.enter_context(store.lock())
        raise ProcessLookupError

    monkeypatch.setattr(os, 'kill', kill)
    with ExitStack() as stack:
        with store.lock() as mine:
            assert taken == [True] and not mine
        assert store.lock_path.exists()
    assert os.listdir(tmp_path) == []


def test_shards_of_one_file(tmp_path, prepare, monkeypatch, numbers):
    source = write_video(tmp_path / 'walk.mp4', 120)
    encoded = count_encoded(monkeypatch)
    everything = list(range(num_segments(source)))
    first = prepare(source, shard=(1, 2))
    assert (first.status, first.manifest) == ('parts', None)
    assert encoded == everything[::2]
    assert first.waits_for.startswith(
        f'{len(everything[1::2])} of {len(everything)} segments')
    # The job that finds everything complete, while another one is at it.
    lock = tmp_path / 'out' / '.walk.parts' / 'assembling.lock'
    lock.write_text(json.dumps(['elsewhere', 1]))
    waiting = prepare(source, shard=(2, 2))
    assert encoded == everything[::2] + everything[1::2]
    assert waiting.status == 'parts' and str(lock) in waiting.waits_for
    lock.unlink()
    last = prepare(source, shard=(2, 2))
    assert last.status == 'prepared' and len(encoded) == len(everything)
    assert numbers(last.path) == list(range(120))
    assert prepare(source, shard=(1, 2)).status == 'was finished'


def test_only_who_sees_all_parts_takes_the_lock(tmp_path, prepare,
                                                monkeypatch):
    # Else the last job could find it taken by one that then gives up.
    source = write_video(tmp_path / 'walk.mp4', 80)
    monkeypatch.delattr(PartStore, 'lock')
    assert prepare(source, shard=(1, 2)).status == 'parts'
    with pytest.raises(AttributeError, match='lock'):
        prepare(source, shard=(2, 2))


def test_shards_of_files(tmp_path):
    files = [write_video(tmp_path / f'{c}.mp4', 4) for c in 'abc']
    names = []
    for job in (1, 2):
        done, errors = prepare_videos(
            files, tmp_path / 'out', PrepareSettings(), shard=(job, 2))
        assert not errors
        names.append([d.path.stem for d in done])
    assert names == [['a', 'c'], ['b']]


@pytest.mark.parametrize('kwargs, message', [
    (dict(shard=(0, 2)), 'shard.*0/2'),
    (dict(shard=(3, 2)), 'shard.*3/2'),
    (dict(workers=0), 'workers'),
    (dict(num_checks=0), 'num_checks'),
    (dict(encoding='mpeg1'), 'encoding'),
    (dict(short_side=599), 'short_side.*599'),
    (dict(deface=True, shard=(1, 2)), '--deface'),
])
def test_wrong_arguments(kwargs, message, tmp_path, prepare):
    source = write_video(tmp_path / 'walk.mp4', 2)
    with pytest.raises(ValueError, match=message):
        prepare(source, **kwargs)


def test_names_must_differ(tmp_path, prepare):
    (tmp_path / 'out').mkdir()
    source = write_video(tmp_path / 'out' / 'walk.mp4', 2)
    with pytest.raises(ValueError, match='its own copy'):
        prepare(source)
    with pytest.raises(ValueError, match='both become walk.mp4'):
        prepare_videos([str(tmp_path / 'walk.mkv'), source],
                       tmp_path / 'another', PrepareSettings())


def test_rotated_pictures_are_turned(tmp_path, prepare, frames):
    path = write_video(tmp_path / 'plain.mp4', 12)
    data = bytearray(open(path, 'rb').read())
    # The header's matrix: as stored, or a quarter turn clockwise.
    upright, turned = (
        struct.pack('>9i', *m, 0, 0, 0, 1 << 30)
        for m in ((1 << 16, 0, 0, 0, 1 << 16), (0, 1 << 16, 0, -1 << 16, 0)))
    place = data.index(upright, data.index(b'tkhd'))
    data[place:place + len(turned)] = turned
    (tmp_path / 'turned.mp4').write_bytes(data)
    done = prepare(tmp_path / 'turned.mp4')
    assert (done.manifest.width, done.manifest.height) == (48, 128)
    picture = frames(done.path)[5].astype(int)
    assert np.abs(picture - np.rot90(numbered_frame(5), 3)).mean() < 10
