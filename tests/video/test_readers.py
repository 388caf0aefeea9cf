import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
import warnings

import av
import numpy as np
import pytest
from mmengine.logging import MMLogger
from video_factory import HEIGHT, WIDTH, damage, read_number, write_video

from dora_mm.video.readers import (DecordReader, PyAVReader, ReaderPool,
                                   VideoDecodeError, VideoReader, build_reader)
from dora_mm.video.readers.probe_video import probe_video


def sequential_frames(path):
    """Every frame by plain decoding from the start, without any seek."""
    with av.open(path) as container:
        return [
            frame.to_ndarray(format='rgb24')
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize('kind', ['DecordReader', 'PyAVReader'])
@pytest.mark.parametrize('name', ['good.mp4', 'fast.mp4', 'good.mkv'])
def test_frames_are_exactly_those_asked_for(video_dir, name, kind):
    path = str(video_dir / name)
    truth = sequential_frames(path)
    reader = build_reader(path, dict(type=kind))
    assert reader.num_frames == len(truth) == probe_video(path).num_frames
    assert reader.fps == 10 == probe_video(path).fps
    rng = np.random.default_rng(0)
    for _ in range(20):
        indices = rng.integers(0, len(truth), 5)  # unsorted, with repeats
        frames = reader.get_frames(indices)
        assert frames.dtype == np.uint8
        assert frames.shape == (5, HEIGHT, WIDTH, 3)
        assert [read_number(f) for f in frames] == indices.tolist()
        for frame, index in zip(frames, indices):
            assert np.array_equal(frame, truth[index])
    reader.close()
    assert read_number(reader.get_frames([8])[0]) == 8
    for outside in (-1, len(truth)):
        with pytest.raises(VideoDecodeError, match=f'frame {outside}'):
            reader.get_frames([0, outside])


def test_reader_rewinds_after_each_read(video_dir):
    # Without it decord's packet queue grows by gigabytes on large files.
    reader = DecordReader(str(video_dir / 'good.mp4'))
    reader.get_frames([0])
    seeks = []
    video = reader._video
    video.seek = lambda frame: seeks.append(frame)
    reader.get_frames([5])
    reader.get_frames([7, 9])
    assert seeks == [0, 0]


def test_no_decoder_is_imported_with_the_package():
    code = ('import sys, dora_mm.datasets.transforms;'
            'print([m for m in ("decord", "av") if m in sys.modules])')
    out = subprocess.run([sys.executable, '-c', code],
                         capture_output=True,
                         text=True,
                         timeout=100)
    assert out.stdout.strip().endswith('[]'), out


@pytest.mark.parametrize('kind', ['truncated_moov_last', 'empty', 'text'])
def test_what_is_no_video_is_refused(video_dir, kind):
    path = str(video_dir / f'{kind}.mp4')
    with pytest.raises(ValueError, match='cannot be opened') as error:
        probe_video(path)
    assert path in str(error.value) and 'Download' in str(error.value)
    with pytest.raises(VideoDecodeError, match=f'{kind}.mp4') as error:
        DecordReader(path).get_frames([3])
    assert error.value.path == path


def test_truncated_file_with_index_first(video_dir):
    path = str(video_dir / 'truncated_faststart.mp4')
    with pytest.warns(UserWarning, match='promises 200 frames'):
        info = probe_video(path)
    assert 80 < info.num_frames < 160
    assert info.num_cut == 200 - info.num_frames
    with pytest.raises(ValueError, match='truncated.*Download.*PyAV') as error:
        DecordReader.check_video(info)
    assert f'frame {info.num_frames} on' in str(error.value)
    PyAVReader.check_video(info)
    reader = PyAVReader(path)
    last = list(range(info.num_frames))[-4:]
    assert [read_number(f) for f in reader.get_frames(last)] == last
    with pytest.raises(VideoDecodeError):
        reader.get_frames([info.num_frames + 5])


def test_frame_count_that_lies_is_corrected(video_dir):
    path = str(video_dir / 'zeroed_tail.mp4')
    with pytest.warns(UserWarning, match='promises 200 frames') as record:
        info = probe_video(path)
    assert path in str(record[0].message)
    decodable = 0
    with av.open(path) as container, pytest.raises(av.error.FFmpegError):
        for _ in container.decode(video=0):
            decodable += 1
    assert 100 < decodable < 160
    # Up to the B frames that the decoder still holds at the damage.
    assert decodable - 3 <= info.num_frames <= decodable
    # All that is promised now can indeed be read.
    reader = DecordReader(path)
    last = list(range(info.num_frames - 5, info.num_frames))
    assert [read_number(f) for f in reader.get_frames(last)] == last
    with pytest.raises(VideoDecodeError, match='zeroed_tail.mp4.*frame 190'):
        reader.get_frames([190])


def test_nothing_decodable_is_refused(video_dir):
    with pytest.raises(ValueError, match='no frame.*zeroed_all.mp4'):
        probe_video(str(video_dir / 'zeroed_all.mp4'))


@pytest.mark.parametrize('options', [{}, dict(movflags='faststart')])
def test_last_frame_needs_no_warning_when_sound(tmp_path, options):
    for gop in (1, 7, 200):
        path = write_video(tmp_path / f'{gop}.mp4', 60, gop=gop, **options)
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            assert probe_video(path).num_frames == 60


def test_index_and_reading_agree_for_fragmented_mp4(tmp_path):
    path = write_video(
        tmp_path / 'f.mp4', 60, movflags='frag_keyframe+empty_moov')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert probe_video(path).num_frames == 60


def test_open_gop_gives_no_false_alarm(tmp_path):
    path = tmp_path / 'open.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
        stream.options = {'x264-params': 'open-gop=1:keyint=20:bframes=3'}
        rng = np.random.default_rng(0)
        for _ in range(50):
            image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
        container.mux(stream.encode())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert probe_video(str(path)).num_frames == 50
    truth = sequential_frames(str(path))
    reader = PyAVReader(str(path))
    for index in range(49, -1, -1):
        assert np.array_equal(reader.get_frames([index])[0], truth[index])


@pytest.mark.skipif(
    'libsvtav1' not in av.codecs_available,
    reason='this build of PyAV has no AV1 encoder')
def test_av1_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / 'a.mp4'
    write_video(path, 3, codec='libsvtav1')
    info = probe_video(str(path))
    assert info.codec == 'av1'
    with pytest.raises(ValueError, match='AV1.*prepare_video.*PyAVReader'):
        DecordReader.check_video(info)
    PyAVReader.check_video(info)
    assert PyAVReader(str(path)).get_frames([2]).shape == (1, HEIGHT, WIDTH, 3)


def test_what_decord_fails_at_by_chance_is_read(video_dir):
    # decord decodes ahead into the hole and then may refuse frames before it.
    path = str(video_dir / 'zeroed_hole.mp4')
    exact = PyAVReader(path)
    readable = []
    for index in range(0, 200, 3):
        try:
            readable.append((index, exact.get_frames([index])[0]))
        except VideoDecodeError as error:
            assert error.frame == index
    indices = [index for index, _ in readable]
    assert 40 < len(indices) < 65
    for _ in range(3):
        reader = DecordReader(path)
        for index in range(0, 200, 3):
            if index in indices:
                frame = reader.get_frames([index])[0]
                assert np.array_equal(frame, dict(readable)[index])
                assert read_number(frame) == index
            else:
                with pytest.raises(VideoDecodeError, match='zeroed_hole.mp4'):
                    reader.get_frames([index])


def test_damaged_files_never_hang(video_dir):
    """All damage in a process of its own, so that a hang is seen."""
    code = '''
import json, sys, warnings
from dora_mm.video.readers import DecordReader
from dora_mm.video.readers.probe_video import probe_video
warnings.simplefilter('ignore')
outcomes = {}
for path in sys.argv[1:]:
    try:
        probe_video(path)
    except ValueError:
        pass
    reader = DecordReader(path)
    good = 0
    for start in range(0, 200, 20):
        try:
            good += len(reader.get_frames([start, start + 19])) == 2
        except ValueError:
            pass
    outcomes[path] = good
print(json.dumps(outcomes))
'''
    kinds = ('truncated_moov_last', 'truncated_faststart', 'empty', 'text',
             'zeroed_tail', 'zeroed_hole', 'zeroed_all')
    paths = [str(video_dir / f'{kind}.mp4') for kind in kinds]
    out = subprocess.run([sys.executable, '-c', code, *paths],
                         capture_output=True,
                         text=True,
                         timeout=100)
    assert out.returncode == 0, out.stderr
    good = json.loads(out.stdout.strip().splitlines()[-1])
    assert [good[p] for p in paths[:4]] == [0, 5, 0, 0]
    assert 5 <= good[paths[4]] <= 8
    assert 7 <= good[paths[5]] <= 9
    assert good[paths[6]] == 0


def test_decoder_that_spins_is_left_behind(video_dir, caplog):
    MMLogger.get_instance('spinning').addHandler(caplog.handler)
    reader = DecordReader(str(video_dir / 'good.mp4'), timeout=0.2)
    release = threading.Event()
    calls, ended = [], []

    def spin(indices):
        calls.append(indices)
        release.wait(600)
        ended.append(indices)

    reader._read = spin
    assert read_number(reader.get_frames([4])[0]) == 4
    assert read_number(reader.get_frames([5])[0]) == 5
    assert not ended  # nothing has waited for it
    assert calls == [[4]]  # not tried again
    assert caplog.text.count('good.mp4') == 1
    assert 'no answer within 0.2 seconds' in caplog.text
    release.set()


def test_missing_file_and_wrong_arguments(tmp_path):
    with pytest.raises(VideoDecodeError, match='nothing.mp4.*gone'):
        DecordReader(str(tmp_path / 'nothing.mp4')).get_frames([0])
    with pytest.raises(ValueError, match='num_threads.*0'):
        DecordReader('a.mp4', num_threads=0)
    with pytest.raises(ValueError, match='timeout.*-1'):
        DecordReader('a.mp4', timeout=-1)
    with pytest.raises(ValueError, match="'Nothing' is unknown"):
        build_reader('a.mp4', dict(type='Nothing'))
    with pytest.raises(TypeError, match='must be a dict'):
        ReaderPool('decord')
    with pytest.raises(TypeError, match='subclass of VideoReader'):
        ReaderPool(dict(type=dict))
    with pytest.raises(ValueError, match='max_open.*0'):
        ReaderPool(max_open=0)


def test_error_survives_pickling():
    error = VideoDecodeError('a.mp4', 'bad', 'Mend it', 7)
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == ("cannot read 'a.mp4' from frame 7: "
                                       'bad. Mend it')


class CountingReader(VideoReader):
    """Remembers which files are open."""

    open_files = set()
    num_frames = 10
    fps = 10.

    def get_frames(self, indices):
        self.open_files.add(self.path)
        return np.zeros((len(indices), 4, 4, 3), np.uint8)

    def close(self):
        self.open_files.discard(self.path)


def test_pool_closes_the_file_used_longest_ago():
    CountingReader.open_files.clear()
    pool = ReaderPool(dict(type=CountingReader), max_open=2)
    for path in ('a', 'b', 'a', 'c'):
        pool.get(path).get_frames([0])
        assert len(CountingReader.open_files) <= 2
    assert CountingReader.open_files == {'a', 'c'}
    assert pool.get('a') is pool.get('a')
    pool.close()
    assert CountingReader.open_files == set() and len(pool) == 0


def test_a_file_that_is_replaced_under_a_run_is_refused(tmp_path):
    """A reader that was opened again gave pictures of the new one."""
    first = write_video(tmp_path / 'a.mp4', 40)
    other = write_video(tmp_path / 'b.mp4', 40, gop=5)
    pool = ReaderPool(max_open=1)
    for path in (first, other):
        pool.check_video(probe_video(path))
    pool.get(first).get_frames([3])
    os.replace(other, first)
    shutil.copy(first, other)
    pool.get(first).get_frames([3])  # that is open, of the old one
    for copy in (pool, pickle.loads(pickle.dumps(pool))):  # as in a worker
        with pytest.raises(RuntimeError, match='since the run began'):
            copy.get(other)
        with pytest.raises(RuntimeError, match='since the run began'):
            copy.close() or copy.get(first)


def run_in_fork(func):
    """Exit code of a function in a fork; None if it hangs."""
    pid = os.fork()
    if pid == 0:  # in the child
        try:
            os._exit(0 if func() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


@pytest.mark.parametrize(
    'reader',
    [
        dict(type='DecordReader'),
        # Its threads do not exist in the fork, where it must not be freed.
        dict(type='PyAVReader', num_threads=2)
    ])
def test_pool_in_another_process_opens_its_own_files(video_dir, reader):
    path = str(video_dir / 'good.mp4')
    pool = ReaderPool(reader)
    parent = pool.get(path)
    parent.get_frames([0])
    assert len(pickle.loads(pickle.dumps(pool))) == 0

    def child():
        reader = pool.get(path)
        return reader is not parent and read_number(
            reader.get_frames([42])[0]) == 42

    assert run_in_fork(child) == 0
    assert read_number(parent.get_frames([17])[0]) == 17


@pytest.mark.parametrize('reader', [
    dict(type='DecordReader'),
    dict(type='PyAVReader', num_threads=2),
])
def test_fork_does_not_wait_for_the_threads_of_an_open_file(
        video_dir, reader):
    # decord's own destructor does, for ever; FFmpeg's at times.
    held = [build_reader(str(video_dir / 'good.mp4'), reader)]
    held[0].get_frames([0])
    held.append(held)  # for the garbage collector alone
    gc.collect()  # what other tests have left
    frozen = gc.get_freeze_count()  # some of Python's and of the tests

    def child():
        held.clear()
        gc.collect()
        return gc.get_freeze_count() <= frozen  # no others

    assert run_in_fork(child) == 0


def test_damage_helper_makes_different_files(video_dir, tmp_path):
    good = str(video_dir / 'good.mp4')
    copy = damage(good, tmp_path / 'x.mp4', 'zeroed_tail')
    assert os.path.getsize(copy) == os.path.getsize(good)
    assert open(copy, 'rb').read() != open(good, 'rb').read()
