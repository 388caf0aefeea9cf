"""Random reads of every kind of file against decoding from the start."""
import os

import av
import numpy as np
import pytest
from mmengine.logging import MMLogger
from video_factory import read_number, write_video

from dora_mm.video.readers import (DecordReader, MJPEGReader, PyAVReader,
                                   VideoDecodeError, build_reader)
from dora_mm.video.readers import load_video_index as _module
from dora_mm.video.readers.build_reader import choose_reader
from dora_mm.video.readers.load_video_index import index_file, load_video_index
from dora_mm.video.readers.probe_video import probe_video

CLASSES = ('closed_gop', 'open_gop', 'edit_list', 'variable_rate',
           'fragmented', 'matroska', 'vp9', 'hevc', 'av1', 'mpeg_ts')
REFUSED_BY_DECORD = {'open_gop', 'edit_list', 'hevc', 'av1', 'mpeg_ts'}


def sequential_frames(path):
    """Every frame by plain decoding from the start, without any seek."""
    with av.open(path) as container:
        return [
            f.to_ndarray(format='rgb24') for f in container.decode(video=0)
        ]


@pytest.mark.parametrize('name', CLASSES)
def test_frames_are_right_or_the_file_is_refused(video_classes, name):
    if name not in video_classes:
        pytest.skip(f'this build of PyAV cannot encode {name}')
    path = video_classes[name]
    truth = sequential_frames(path)
    info = probe_video(path)
    assert info.num_frames == len(truth) == (127
                                             if name == 'edit_list' else 200)
    assert info.has_variable_rate == (name == 'variable_rate')
    rng = np.random.default_rng(0)
    for cls in (PyAVReader, DecordReader):
        refused = name == 'mpeg_ts' or (cls is DecordReader
                                        and name in REFUSED_BY_DECORD)
        if refused:
            with pytest.raises(ValueError, match='prepare_video.py'):
                cls.check_video(info)
            continue
        cls.check_video(info)
        reader = cls(path)
        for _ in range(25):
            indices = rng.integers(0, len(truth), 4)  # unsorted, repeated
            for frame, index in zip(reader.get_frames(indices), indices):
                assert np.array_equal(frame, truth[index])
    assert choose_reader(info) is PyAVReader


@pytest.mark.parametrize('name', CLASSES[:-1])
def test_stretches_are_those_of_decoding_from_the_start(video_classes, name):
    if name not in video_classes:
        pytest.skip(f'this build of PyAV cannot encode {name}')
    path = video_classes[name]
    truth = sequential_frames(path)
    reader = PyAVReader(path)
    for begin, end in ((0, 1), (0, 60), (47, 55), (30, 120), (len(truth) - 9,
                                                              len(truth))):
        frames = list(reader.iter_frames(begin, end))
        assert [number for number, _ in frames] == list(range(begin, end))
        for number, frame in frames:
            assert np.array_equal(reader.to_rgb(frame), truth[number])
    # A stretch that is given up leaves the reader usable.
    next(reader.iter_frames(10, 90))
    assert np.array_equal(reader.get_frames([77])[0], truth[77])


def test_skipping_pictures_changes_no_pixel_and_saves_most(video_classes):
    """Pictures that no other one refers to are left out on the way."""
    path = video_classes['closed_gop']
    reader, plain = PyAVReader(path), PyAVReader(path, num_threads=2)
    assert np.array_equal(reader.get_frames([149]), plain.get_frames([149]))
    decoded = []
    reader.to_rgb = lambda frame: decoded.append(frame.pts) or np.zeros(1)
    codec_frames = []
    decoding_from = reader._decoding_from

    def spy(time, run_up):
        packets, decoder = decoding_from(time, run_up)

        def spied():
            for packet in packets:
                yield packet
                codec_frames.append(reader._stream.codec_context.skip_frame)

        return spied(), decoder

    reader._decoding_from = spy
    reader.get_frames([149])
    assert len(decoded) == 1
    # All on the way from the key frame, wherever the encoder has put it.
    assert codec_frames and set(codec_frames) == {'NONREF'}


def test_frames_shrink_at_decoding(video_classes):
    path = video_classes['closed_gop']  # 320 x 180
    small = PyAVReader(path, short_side=90).get_frames([60])[0]
    assert small.shape == (90, 160, 3)
    large = PyAVReader(path).get_frames([60])[0]
    means = large.reshape(90, 2, 160, 2, 3).mean((1, 3))
    gaps = np.abs(means - small)
    assert np.median(gaps) <= 1 and gaps.mean() < 4
    same = PyAVReader(path, short_side=180).get_frames([60])[0]
    assert np.array_equal(same, large)


def test_index_is_made_once_per_file(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'a.mp4', 40)
    first = load_video_index(path)
    scans = []
    from dora_mm.video.readers import scan_video as scan_module
    scan = scan_module.scan_video
    monkeypatch.setattr(scan_module, 'scan_video',
                        lambda p: scans.append(p) or scan(p))
    assert load_video_index(path) is first  # once a process, and its forks
    _module._loaded.clear()  # as in another process
    again = load_video_index(path)
    assert again is not first and not scans
    for name, value in vars(first).items():
        assert np.array_equal(getattr(again, name), value), name
    # Another file of the same name has its own.
    os.remove(path)
    write_video(path, 30)
    assert load_video_index(path).num_frames == 30
    assert scans == [path]
    # What is not an index is written anew.
    saved = index_file(path)
    saved.write_bytes(saved.read_bytes()[:500])
    _module._loaded.clear()
    assert load_video_index(path).num_frames == 30
    assert len(scans) == 2 and load_video_index(path) and len(scans) == 2


def test_index_without_a_place_to_save_it(tmp_path, monkeypatch, caplog):
    path = write_video(tmp_path / 'a.mp4', 20)
    (tmp_path / 'file').touch()
    monkeypatch.setattr(_module, 'index_file',
                        lambda p: tmp_path / 'file' / 'folder' / 'a.npz')
    MMLogger.get_instance('unsaved').addHandler(caplog.handler)
    assert load_video_index(path).num_frames == 20
    assert 'cannot be saved' in caplog.text and 'DORA_MM_CACHE' in caplog.text


@pytest.fixture(scope='module')
def jpegs(tmp_path_factory):
    """A file of JPEGs by FFmpeg's own encoder."""
    path = tmp_path_factory.mktemp('jpegs') / 'jpegs.mp4'
    return write_video(path, 60, codec='mjpeg', pix_fmt='yuvj420p')


def test_jpegs_are_read_at_their_place(jpegs):
    info = probe_video(jpegs)
    assert info.is_jpeg and info.num_frames == 60 and info.fps == 10
    assert choose_reader(info) is MJPEGReader
    truth = sequential_frames(jpegs)
    reader = build_reader(jpegs)
    indices = np.random.default_rng(0).permutation(60)
    frames = reader.get_frames(indices)
    assert frames.dtype == np.uint8
    assert [read_number(f) for f in frames] == indices.tolist()
    # libjpeg interpolates between the colour samples, FFmpeg repeats them.
    gap = np.abs(frames[:, 16:].astype(int) -
                 np.stack([truth[i] for i in indices])[:, 16:])
    assert gap.mean() < 3
    with pytest.raises(VideoDecodeError, match='frame 60'):
        reader.get_frames([60])
    reader.close()
    assert read_number(reader.get_frames([8])[0]) == 8


def test_damaged_jpegs_are_named(jpegs, tmp_path):
    data = bytearray(open(jpegs, 'rb').read())
    index = load_video_index(jpegs)
    first = int(index.positions[20])
    data[first:first + 40] = bytes(40)
    damaged = tmp_path / 'damaged.mp4'
    damaged.write_bytes(data)
    reader = MJPEGReader(str(damaged))
    with pytest.raises(VideoDecodeError, match='JPEG of frame 20 is damaged'):
        reader.get_frames([19, 20])
    assert read_number(reader.get_frames([21])[0]) == 21
    # The file shrinks while it is open, then goes.
    os.truncate(damaged, first + 5)
    with pytest.raises(VideoDecodeError, match='ends inside frame 30'):
        reader.get_frames([30])
    assert read_number(reader.get_frames([19])[0]) == 19
    reader.close()
    damaged.unlink()
    with pytest.raises(VideoDecodeError, match='damaged.mp4.*No such file'):
        reader.get_frames([19])


def test_jpeg_reader_refuses_other_video(video_classes):
    path = video_classes['closed_gop']
    with pytest.raises(ValueError, match='a file of JPEGs, .* is h264'):
        MJPEGReader.check_video(probe_video(path))
    with pytest.raises(VideoDecodeError, match='h264, not JPEGs'):
        MJPEGReader(path).get_frames([0])
