"""A file is read right, in the shape it is shown in, or it is refused.

The right value is that of FFmpeg's own program, or of decoding in one pass.
"""
import re
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import imageio_ffmpeg
import numpy as np
import pytest
from bar_films import (HEIGHT, NUM, WIDTH, bars, by_ffmpeg, number_of,
                       prepared, write, write_streams)
from random_films import cut_film

from dora_mm.datasets.transforms import LoadClipFromBlock
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.readers import (DecordReader, MJPEGReader, PyAVReader,
                                   VideoDecodeError, build_reader)
from dora_mm.video.readers.load_video_index import load_video_index
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.readers.seek_to_key import decode_after_seek


def without_box(path, kind):
    """Hide a table of an mp4, as if its muxer had not written it."""
    data = open(path, 'rb').read()
    place = data.index(kind, data.rindex(b'moov'))
    assert struct.unpack('>I', data[place - 4:place])[0] < len(data)
    with open(path, 'wb') as file:
        file.write(data[:place] + b'free' + data[place + 4:])
    return path


KINDS = {
    'avi.avi': dict(x264='keyint=12:bframes=0'),
    'avi_with_b_frames.avi': dict(x264='keyint=12:bframes=3'),
    'intra_refresh.mp4': dict(x264='intra-refresh=1:keyint=30'),
    'pyramid.mkv': dict(x264='keyint=30:bframes=4:b-pyramid=normal'),
    'flash.flv': {},
    'quicktime.mov': {},
    'open_gop.mkv': dict(x264='keyint=30:open-gop=1:bframes=3'),
    'open_gop.flv': dict(
        x264='keyint=12:min-keyint=1:open-gop=1:bframes=5:scenecut=0'),
    'open_pyramid.mp4': dict(
        x264='keyint=30:open-gop=1:bframes=3:b-pyramid=normal'),
    'mpeg4.avi': dict(codec='mpeg4', g='12', bf='2'),
    'mpeg2.mpg': dict(codec='mpeg2video', g='12', bf='2'),
    'windows.wmv': dict(codec='wmv2', g='12'),
    'without_stss.mp4': dict(table=b'stss'),
    'without_ctts.mp4': dict(x264='keyint=12:bframes=3', table=b'ctts'),
}


@pytest.mark.parametrize('name', KINDS)
def test_frame_n_shows_n_or_the_file_is_refused(tmp_path, name):
    settings = dict(KINDS[name])
    table = settings.pop('table', None)
    path = write(tmp_path / name, **settings)
    if table is not None:
        without_box(path, table)
    info = probe_video(path)
    # FFmpeg's program, too, shows 148 of a file that has lost its offsets.
    assert info.num_frames == (148 if name == 'without_ctts.mp4' else NUM)
    asked = np.random.default_rng(0).permutation(NUM)[:30]
    refused = set()
    for cls in (PyAVReader, DecordReader):
        try:
            cls.check_video(info)
        except ValueError as error:
            assert 'prepare_video.py' in str(error)
            refused.add(cls)
            continue
        reader = cls(path)
        shown = [number_of(reader.get_frames([n])[0]) for n in asked]
        assert shown == asked.tolist()
    # Only in these the times are not those of the frames.
    assert (PyAVReader in refused) == (name in ('avi_with_b_frames.avi',
                                                'without_ctts.mp4'))
    if name == 'avi.avi':
        assert refused == {DecordReader}
    if PyAVReader in refused:
        with pytest.raises(ValueError, match='cannot be sought'):
            build_reader(path)


@pytest.mark.parametrize('matrix', [
    90, 180, 270,
    [-1, 0, 0, 0, 1, 0, 0, 0, 1],
    [1, 0, 0, 0, -1, 0, 0, 0, 1],
    [0, 1, 0, 1, 0, 0, 0, 0, 1],
])  # yapf: disable
def test_pictures_are_shown_as_ffmpeg_shows_them(tmp_path, matrix):
    if not isinstance(matrix, int):
        scale = [1 << 16, 1 << 16, 1 << 30] * 3
        matrix = [m * s for m, s in zip(matrix, scale)]
    path = write(tmp_path / 'turned.mp4', rotation=matrix)
    turned = matrix in (90, 270, [0, 1 << 16, 0, 1 << 16, 0, 0, 0, 0, 1 << 30])
    size = (HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT)
    expected = by_ffmpeg(path, size).astype(int)
    shown = PyAVReader(path).get_frames([0])[0]
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() <= 2
    load = LoadClipFromBlock(short_side=HEIGHT)
    for begin in (0, 50):  # in the block, and beside it
        results = dict(
            video_path=path, frame_indices=np.array([0]), slot=0,
            windows=[(path, begin, NUM)], upcoming=None)  # yapf: disable
        clip = load.transform(results)['clip']
        assert clip[0].shape == expected.shape
        assert np.abs(clip[0] - expected).mean() < 4


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    path = write(tmp_path / 'wide.mp4', sar=Fraction(2, 1))
    picture = PyAVReader(path).get_frames([77])[0]
    assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
    assert number_of(picture) == 77
    with pytest.raises(ValueError, match='not read right by decord'):
        DecordReader.check_video(probe_video(path))


def test_cover_art_is_not_the_film(tmp_path):
    film, path = write(tmp_path / 'film.mp4'), tmp_path / 'cover.mp4'
    art = av.CodecContext.create('mjpeg', 'w')
    art.width, art.height, art.pix_fmt = 64, 64, 'yuvj420p'
    art.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(
        bars(0, (64, 64))[:, :64].repeat(2, 1)[:, :64], format='rgb24')
    jpeg = bytes(art.encode(frame.reformat(format='yuvj420p'))[0])
    (tmp_path / 'art.jpg').write_bytes(jpeg)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i']
    command += [str(tmp_path / 'art.jpg'), '-i', film, '-map', '0', '-map']
    command += ['1', '-c', 'copy', '-disposition:v:0', 'attached_pic']
    subprocess.run([*command, str(path)], check=True)
    assert probe_video(str(path)).num_frames == NUM
    assert number_of(build_reader(str(path)).get_frames([93])[0]) == 93


@pytest.mark.parametrize('marked', ['', 'first'])
def test_of_two_streams_the_one_that_ffmpeg_chooses_is_read(tmp_path, marked):
    """A camera may put a small copy of the film before it."""
    path = str(tmp_path / 'two.mkv')
    sizes = [(80, 32), (WIDTH, HEIGHT)]
    with av.open(path, 'w') as container:
        streams = [container.add_stream('mpeg4', rate=25) for _ in sizes]
        for stream, (width, height) in zip(streams, sizes):
            stream.width, stream.height = width, height
            stream.disposition = 0
        if marked:
            streams[0].disposition = av.stream.Disposition.default
        for number in range(20):
            for stream, size in zip(streams, sizes):
                frame = av.VideoFrame.from_ndarray(
                    bars(number, size), format='rgb24')
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    shown = build_reader(path).get_frames([0])[0].astype(int)
    right = by_ffmpeg(path, sizes[0] if marked else sizes[1])
    assert shown.shape == right.shape and np.abs(shown - right).max() <= 2
    copy, _ = prepared(path, tmp_path / 'out')
    assert build_reader(copy).get_frames([0])[0].shape == right.shape


def test_a_picture_that_changes_its_shape_is_named(tmp_path):
    path = write_streams(tmp_path / 'changes.mkv',
                         [{}, dict(size=(80, HEIGHT))])
    reader = PyAVReader(path)
    assert number_of(reader.get_frames([13])[0]) == 13
    with pytest.raises(VideoDecodeError, match='160x64 to 80x64'):
        reader.get_frames([13, 61])
    load = LoadClipFromBlock(short_side=HEIGHT)
    results = dict(video_path=path, slot=0, windows=[(path, 0, 80)],
                   upcoming=None)  # yapf: disable
    clip = load.transform(dict(results, frame_indices=np.array([13])))['clip']
    assert number_of(clip[0]) == 13
    with pytest.raises(VideoDecodeError, match='frame 61 cannot'):
        load.transform(dict(results, frame_indices=np.array([13, 61])))


def test_one_wrong_bit_is_an_error_or_changes_nothing(tmp_path):
    path = write(tmp_path / 'sound.mp4', x264='keyint=30:bframes=2')
    right = PyAVReader(path).get_frames(range(NUM))
    data = bytearray(open(path, 'rb').read())
    begin, end = data.index(b'mdat') + 4, data.rindex(b'moov') - 4
    raised = wrong = 0
    for place in np.random.default_rng(0).integers(begin, end, 12):
        damaged = bytearray(data)
        damaged[place] ^= 16
        file = tmp_path / f'{place}.mp4'
        file.write_bytes(damaged)
        reader = PyAVReader(str(file))
        for first in range(0, reader.num_frames - 7, 15):
            numbers = range(first, first + 8)
            try:
                clip = reader.get_frames(numbers)
            except VideoDecodeError:
                raised += 1
                continue
            wrong += not np.array_equal(clip, right[first:first + 8])
    assert raised >= 6 and wrong == 0


@pytest.mark.parametrize('name', ['avi_with_b_frames.avi', 'mpeg_ts.ts'])
def test_preparation_makes_a_refused_file_right(tmp_path, name):
    """The remedy that the refusal names works."""
    path = write(tmp_path / name, x264='keyint=12:bframes=3')
    copy, manifest = prepared(path, tmp_path / 'out')
    assert not [r for r in manifest.excluded if r[2] == 'undecodable']
    assert len(manifest.verified['compared']) == 16
    frames = build_reader(copy).get_frames(range(NUM))
    assert [number_of(frame) for frame in frames] == list(range(NUM))


def test_frames_that_were_cut_off_are_not_counted(tmp_path):
    """A recording begins at a key frame; B frames shown before it are lost."""
    path = write(tmp_path / 'film.ts', codec='mpeg2video', g='12', bf='2')
    path = str(cut_film(Path(path), 24))
    with av.open(path) as container:
        shown = [
            number_of(frame.to_ndarray(format='rgb24'))
            for frame in container.decode(video=0)
        ]
    assert shown[0] > 20 and shown == list(range(shown[0], NUM))
    copy, _ = prepared(path, tmp_path / 'out')
    frames = build_reader(copy).get_frames(range(len(shown)))
    assert [number_of(frame) for frame in frames] == shown


def test_a_wrong_index_is_seen_by_the_preparation(tmp_path, monkeypatch):
    """The comparison counts frames itself."""
    path = write(tmp_path / 'film.mp4')
    wrong = SourceVideo.iter_shown

    def later(self, segment):
        frames = list(wrong(self, segment))
        return iter([*frames[1:], frames[-1]])

    monkeypatch.setattr(SourceVideo, 'iter_shown', later)
    _, errors = prepare_videos([path], tmp_path / 'out', PrepareSettings())
    assert '1 frame later better' in str(errors[path])


def test_damage_in_a_prepared_video_is_an_error(tmp_path):
    """A JPEG of which a bit is wrong can be decoded, most times."""
    copy, _ = prepared(write(tmp_path / 'film.mp4'), tmp_path / 'out')
    index = load_video_index(copy)
    data = open(copy, 'rb').read()
    for number in range(0, NUM, 15):
        place = int(index.positions[number] + index.sizes[number] * 3 // 4)
        damaged = bytearray(data)
        damaged[place] ^= 4
        with open(tmp_path / 'damaged.mp4', 'wb') as file:
            file.write(damaged)
        reader = MJPEGReader(str(tmp_path / 'damaged.mp4'))
        reader._index = index
        with pytest.raises(VideoDecodeError, match=f'JPEG of frame {number} '):
            reader.get_frames([number])
        reader.close()


def test_damage_does_not_change_the_reader_of_a_prepared_video(tmp_path):
    """A reader that knows no checksums would conceal it."""
    copy, _ = prepared(write(tmp_path / 'film.mp4'), tmp_path / 'out')
    index, right = load_video_index(copy), build_reader(copy).get_frames([75])
    data = bytearray(open(copy, 'rb').read())
    data[int(index.positions[0] + index.sizes[0] * 3 // 4)] ^= 4
    path = tmp_path / 'damaged.mp4'
    path.write_bytes(data)
    reader = build_reader(str(path))
    assert isinstance(reader, MJPEGReader)
    assert np.array_equal(reader.get_frames([75]), right)
    with pytest.raises(VideoDecodeError, match='JPEG of frame 0 '):
        reader.get_frames([0])


def test_a_damaged_beginning_of_jpegs(tmp_path):
    """No frame could be decoded, it was said, where the first one cannot."""
    copy, _ = prepared(write(tmp_path / 'film.mp4'), tmp_path / 'out')
    index, right = load_video_index(copy), build_reader(copy).get_frames([75])
    data = bytearray(Path(copy).read_bytes())
    place, size = int(index.positions[0]), int(index.sizes[0])
    data[place + size // 2:place + size] = bytes(size - size // 2)
    damaged = tmp_path / 'damaged.mp4'
    damaged.write_bytes(data)
    reader = build_reader(str(damaged))
    assert np.array_equal(reader.get_frames([75]), right)
    with pytest.raises(VideoDecodeError, match='JPEG of frame 0 '):
        reader.get_frames([0])


def test_a_damaged_beginning_of_h264_is_told(tmp_path):
    """Frames have other numbers then; the last ones are lost, it was said."""
    done, errors = prepare_videos([write(tmp_path / 'film.mp4')],
                                  tmp_path / 'out', PrepareSettings('h264'))
    assert not errors
    sound = build_reader(str(done[0].path))
    with av.open(str(done[0].path)) as film:
        first = next(film.demux(video=0))
        data = bytearray(done[0].path.read_bytes())
        data[first.pos + first.size // 2:first.pos + first.size] = bytes(
            first.size - first.size // 2)
    damaged = tmp_path / 'damaged.mp4'
    damaged.write_bytes(data)
    with pytest.warns(UserWarning, match='15 of them are missing') as record:
        reader = build_reader(str(damaged))
    told = re.search(r'frame 0 is that at ([\d.]+) s', str(record[0].message))
    number = round(float(told[1]) * sound.fps)
    assert number == 15 and reader.num_frames == sound.num_frames - 15
    assert np.array_equal(
        reader.get_frames([0, 70]), sound.get_frames([number, 70 + number]))


def test_a_damaged_frame_on_the_way_is_an_error(tmp_path, monkeypatch):
    """FFmpeg marks the frame that it conceals, not those that refer to it."""
    path = write(tmp_path / 'film.mp4', x264='keyint=12:bframes=0')
    reader = PyAVReader(path)
    time = int(reader.index.times[13])

    def concealed(decoder, packet, start):
        return [
            SimpleNamespace(pts=time, is_corrupt=True)
            if frame.pts == time else frame
            for frame in decode_after_seek(decoder, packet, start)
        ]

    monkeypatch.setattr(
        'dora_mm.video.readers.seek_to_key.decode_after_seek', concealed)
    with pytest.raises(VideoDecodeError, match='damaged'):
        reader.get_frames([16])
    assert number_of(reader.get_frames([25])[0]) == 25
