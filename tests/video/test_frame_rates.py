"""The rate is that of the frames, whatever a container states."""
import struct
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
from bar_films import bars, number_of, write

from dora_mm.datasets.evaluation.image_source import ImageSource
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.readers import build_reader
from dora_mm.video.readers.mean_rate import mean_rate, round_rate
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.video_stats import mean_lightness, sample_video
from dora_mm.visualization.clip_tracks import read_clips


def write_times(path, times, rate):
    """Numbered frames at times in milliseconds, in Matroska."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            'libx264', rate=rate, options=dict(bf='0', g='20'))
        stream.height, stream.width = bars(0).shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            image = av.VideoFrame.from_ndarray(bars(number), format='rgb24')
            image.pts, image.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return str(path)


@pytest.fixture
def recording(tmp_path):
    """As browsers record: slow until something moves; and its times."""
    times = [*range(0, 10000, 200), *range(10000, 15000, 33)]
    return write_times(tmp_path / 'film.mkv', times, 5), np.array(times)


@pytest.mark.parametrize('nanoseconds', [20000000, 80000000, 1])
def test_a_distance_of_frames_that_is_not_theirs(tmp_path, nanoseconds):
    """DefaultDuration of Matroska; frames are 40 ms apart."""
    path = write(tmp_path / 'film.mkv', num=60)
    data = bytearray(open(path, 'rb').read())
    place = data.index(b'\x23\xe3\x83\x84') + 4
    assert struct.unpack_from('>I', data, place) == (40000000, )
    struct.pack_into('>I', data, place, nanoseconds)
    open(path, 'wb').write(data)
    with av.open(path) as container:
        assert container.streams.video[0].average_rate != 25
    assert build_reader(path).fps == probe_video(path).fps == 25


def test_a_rate_of_the_first_frames_alone(recording):
    path, times = recording
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == 5
    expected = (len(times) - 1) / (times[-1] / 1000)
    assert abs(build_reader(path).fps - expected) < 1e-4


def test_images_of_a_variable_rate_are_taken_by_time(recording):
    path, times = recording
    source = ImageSource(path, interval=.5)
    assert len(source) == 31  # the last frame is shown at 15 s
    for number, item in enumerate(source.items):
        shown = np.flatnonzero(times <= 500 * number)[-1]
        assert item['frame'] == shown
        assert item['seconds'] == pytest.approx(times[shown] / 1000)
        assert number_of(source.read(number)) == shown


@pytest.mark.parametrize('start', [0, 7, 12.5])
def test_clips_of_a_variable_rate_begin_by_time(recording, start):
    """At 7 s a clip from 11.5 s was shown, with a wrong time at each frame."""
    path, times = recording
    clip, = read_clips(path, 1, start, 4, frame_stride=10, square=False)
    assert abs(times[clip.indices[0]] / 1000 - start) <= .1
    assert clip.seconds == pytest.approx(times[clip.indices] / 1000)
    assert number_of(clip.frames[0]) == clip.indices[0]
    with pytest.raises(ValueError, match='lower --start'):
        next(read_clips(path, 1, 15.2, 4, frame_stride=10))


def test_statistics_of_a_variable_rate_are_by_time(recording):
    """They were of every n-th frame, and its number made their time."""
    path, times = recording
    reader = build_reader(path)
    samples = sample_video(reader, 1.)
    assert [sample['second'] for sample in samples] == list(range(15 + 1))
    for sample in samples:
        shown = np.flatnonzero(times <= 1000 * sample['second'])[-1]
        assert sample['lightness'] == mean_lightness(
            reader.get_frames([shown])[0])
    reader.close()


def test_a_frame_that_is_shown_for_long_is_one_image(tmp_path):
    times = [0, 100, 200, 3000, 3100, 3200, 3300, 3400]
    path = write_times(tmp_path / 'film.mkv', times, 10)
    source = ImageSource(path, interval=1)
    assert [item['frame'] for item in source.items] == [0, 2, 3]
    assert [item['seconds'] for item in source.items] == [0, .2, 3]


def test_every_frame_of_rounded_times_is_taken_once(tmp_path):
    """Of the first twelve one in three was left out, and twice another one."""
    times = np.rint(np.arange(37) * 1000 / 24).astype(int).tolist()
    path = write_times(tmp_path / 'film.mkv', times, 24)
    source = ImageSource(path, interval=1 / 24)
    assert [item['frame'] for item in source.items] == list(range(37))
    reader = build_reader(path)
    light = [sample['lightness'] for sample in sample_video(reader, .01)]
    frames = reader.get_frames(range(37))
    assert light == [mean_lightness(frame) for frame in frames]
    reader.close()


@pytest.mark.parametrize('rate', [
    Fraction(30000, 1001),
    Fraction(24000, 1001),
    Fraction(60000, 1001),
    Fraction(25),
    Fraction(120),
    Fraction(1, 3)
])
def test_times_that_are_rounded_leave_a_rate_exact(rate):
    times = np.rint(np.arange(20000) * 1000 / float(rate)).astype(np.int64)
    assert mean_rate(rate, times, Fraction(1, 1000)) == rate
    # Over hours the times alone tell it, too.
    found = mean_rate(Fraction(0), times, Fraction(1, 1000))
    assert abs(found / rate - 1) < 1e-4


@pytest.mark.parametrize('rate', [25, Fraction(30000, 1001)])
def test_a_film_cut_without_encoding_keeps_its_rate(tmp_path, rate):
    """Frames before its last ones were cut off; 25 became 23.2."""
    whole, path = str(tmp_path / 'whole.mp4'), str(tmp_path / 'cut.mp4')
    with av.open(whole, 'w') as container:
        stream = container.add_stream(
            'libx264', rate=rate, options=dict(bf='3', g='30', b_adapt='0'))
        stream.height, stream.width = bars(0).shape[:2]
        stream.pix_fmt = 'yuv420p'
        for number in range(60):
            image = av.VideoFrame.from_ndarray(bars(number), format='rgb24')
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    subprocess.run([
        imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', whole, '-t', '1',
        '-c', 'copy', path
    ], check=True)  # yapf: disable
    info = probe_video(path)
    assert info.fps == float(rate)
    with av.open(path) as container:
        stream, = container.streams.video
        times = [frame.pts for frame in container.decode(video=0)]
        steps = np.rint(np.diff(times) * float(stream.time_base * rate))
    assert steps.max() == 4 and np.median(steps) == 1
    source = SourceVideo(path)
    assert source.fps == rate
    # Where a frame is missing the one before it is shown on.
    assert set(source.shown) == set(range(info.num_frames))


def test_lost_frames_are_no_rate_of_their_own():
    """A rate is that of the frames where few are missing, not where many."""
    for lost, expected in (([10], 25), ([10, 50, 51, 90], 25),
                           (range(10, 60, 10), Fraction(25 * 94, 99)),
                           (range(1, 99, 2), Fraction(25 * 50, 99))):
        times = np.delete(np.arange(100), list(lost))
        assert mean_rate(Fraction(25), times, Fraction(1, 25)) == expected
    # three of two steps each are a slower film
    times = np.arange(0, 8, 2)
    assert mean_rate(Fraction(25), times, Fraction(1, 25)) == Fraction(25, 2)


def test_a_picture_an_hour_has_a_rate():
    times = np.arange(9, dtype=np.int64) * 3600
    assert mean_rate(Fraction(25), times, Fraction(1)) == Fraction(1, 3600)
    assert round_rate(Fraction(1, 3600)) == Fraction(1, 3600)
    assert mean_rate(Fraction(25), times[:1], Fraction(1)) == 25
