"""Every kind of file: which frame comes where."""
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from clean_python import ROOT
from video_factory import write_video

from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.readers import build_reader
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.scaled_size import scaled_size

sys.path.append(str(ROOT / 'benchmarks'))
from frame_number import read_number  # noqa: E402

sys.path.remove(str(ROOT / 'benchmarks'))

CONSTANT = ('closed_gop', 'open_gop', 'edit_list', 'fragmented', 'matroska',
            'vp9', 'hevc', 'av1', 'mpeg_ts')


def times_and_numbers(path):
    """By plain decoding from the start: seconds and number of each frame."""
    times, numbers = [], []
    with av.open(path) as container:
        for frame in container.decode(video=0):
            times.append(frame.pts * frame.time_base)
            numbers.append(read_number(frame.to_ndarray(format='rgb24')))
    return times, numbers


@pytest.mark.parametrize('name', CONSTANT)
def test_constant_rate_keeps_every_frame(name, video_classes, prepare):
    if name not in video_classes:
        pytest.skip(f'this build of PyAV cannot encode {name}')
    times, expected = times_and_numbers(video_classes[name])
    done = prepare(video_classes[name])
    found_times, found = times_and_numbers(str(done.path))
    assert found == expected
    assert found_times == [Fraction(i, 30) for i in range(len(expected))]
    manifest = done.manifest
    assert manifest.num_frames == len(expected) and manifest.fps == 30
    assert manifest.excluded == ()
    assert manifest.verified['told_from_neighbours'] == 16
    num_segments = len(SourceVideo(video_classes[name]).segments())
    assert (num_segments == 1) == (name == 'mpeg_ts')
    notes = ' '.join(manifest.notes)
    assert ('edit list' in notes) == (name == 'edit_list')
    assert ('open groups' in notes) == (name in ('open_gop', 'hevc'))
    assert ('from its beginning' in notes) == (name == 'mpeg_ts')


def test_variable_rate_shows_what_the_source_shows(video_classes, prepare):
    times, numbers = times_and_numbers(video_classes['variable_rate'])
    done = prepare(video_classes['variable_rate'])
    found_times, found = times_and_numbers(str(done.path))
    fps = done.manifest.fps
    assert abs(fps * (times[-1] - times[0]) - 199) <= 0.5
    assert found_times == [i / fps for i in range(len(found))]
    expected = [[n for t, n in zip(times, numbers)
                 if t - times[0] <= i / fps][-1] for i in range(len(found))]
    assert found == expected
    assert expected != numbers  # else this tests nothing
    assert abs(len(found) / fps - (times[-1] - times[0])) <= 2 / fps
    assert 'variable frame rate' in done.manifest.notes[0]


def test_stream_without_times_is_decoded_from_its_start(
        tmp_path, prepare, numbers):
    path = write_video(tmp_path / 'raw.h264', 60)
    source = SourceVideo(path)
    assert source.index.has_odd_times and source.sequential
    done = prepare(path)
    assert numbers(done.path) == list(range(60))
    assert done.manifest.verified['told_from_neighbours'] == 16


@pytest.mark.parametrize('encoding, codec', [('mjpeg', 'mjpeg'),
                                             ('h264', 'h264')])
def test_result_is_made_for_random_access(encoding, codec, tmp_path, prepare):
    path = write_video(tmp_path / 'a.mp4', 120, gop=25)
    done = prepare(path, encoding, 24)
    info = probe_video(str(done.path))
    assert (info.codec, info.num_frames, info.fps) == (codec, 120, 10)
    with av.open(str(done.path)) as container:
        assert len(container.streams) == 1
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (64, 24)
        assert not stream.codec_context.has_b_frames
        keys = [p.is_keyframe for p in container.demux(stream) if p.size]
    gaps = np.diff(np.flatnonzero(keys + [True]))
    assert gaps.max() <= (1 if encoding == 'mjpeg' else 15)
    assert not build_reader(str(done.path)).index.has_open_gop


@pytest.mark.parametrize('size, expected', [
    ((3840, 2160), (1066, 600)),
    ((2160, 3840), (600, 1066)),
    ((640, 360), (640, 360)),
    ((643, 601), (642, 600)),
    ((641, 361), (640, 360)),
])
def test_size_of_the_result(size, expected):
    assert scaled_size(*size, 600) == expected


def test_short_rest_is_kept(tmp_path, prepare, numbers):
    path = write_video(tmp_path / 'short.mp4', 3)
    assert numbers(prepare(path).path) == [0, 1, 2]


def test_a_short_film_is_as_long_as_it_promises(tmp_path, prepare):
    """Its last frame did not count: 0.3 s ended after 0.3 s."""
    for num in (1, 4, 8):
        source = write_video(tmp_path / f'{num}.mp4', num)
        assert not prepare(source).manifest.notes
