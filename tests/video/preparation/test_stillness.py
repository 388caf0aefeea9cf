"""Blank, frozen and undecodable stretches."""
import numpy as np
import pytest
from video_factory import HEIGHT, WIDTH, damage, numbered_frame, write_video

from dora_mm.datasets import WalkingToursVideoDataset
from dora_mm.video.preparation.stillness import (StillnessMeter,
                                                 excluded_ranges,
                                                 join_stillness)

BLACK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize('encoding', ['mjpeg', 'h264'])
def test_black_second_half_is_found(make_video, prepare, encoding):
    # Longer than a segment, so that the stretch crosses their boundary.
    source = make_video([*range(45), *[BLACK] * 45])
    done = prepare(source, encoding)
    assert done.manifest.excluded == ((45, 90, 'blank'), )
    assert done.manifest.num_frames == 90
    meta = WalkingToursVideoDataset(
        done.path, clip_len=2, frame_interval=0.5).metainfo
    assert (meta['num_frames'], meta['frames_left_out']) == ([90], [45])


def test_frozen_stretch_across_segments_is_found(make_video, prepare):
    source = make_video([*range(30), *[30] * 25, *range(31, 51)])
    assert prepare(source).manifest.excluded == ((30, 55, 'frozen'), )


def test_less_than_a_second_stays(make_video, prepare):
    source = make_video([*range(20), *[BLACK] * 9, *range(20, 30), *[30] * 10])
    assert prepare(source).manifest.excluded == ()


def test_doubled_frames_are_not_frozen(make_video, prepare):
    source = make_video(np.repeat(np.arange(40), 2).tolist())
    manifest = prepare(source).manifest
    assert manifest.excluded == ()
    # Nor are they told from their twins, or taken for a mistake.
    assert manifest.verified['frames'] == 16


def test_slow_fade_is_not_frozen():
    meter = StillnessMeter()
    picture = numbered_frame(5)[..., 0].astype(int)
    for level in range(60):  # a level a frame, below any noise
        meter.add(np.clip(picture // 2 + level, 0, 255).astype(np.uint8))
    assert excluded_ranges(meter.result, [], 10) == ()


def test_repeats_count_as_frames():
    meter = StillnessMeter()
    for number in range(3):
        meter.add(numbered_frame(number)[..., 0], times=7)
    result = meter.result
    assert result.changes.tolist() == 3 * ([True] + 6 * [False])
    assert excluded_ranges(result, [], 8) == ()
    assert [r[:2] for r in excluded_ranges(result, [], 7)
            ] == [(0, 21)]  # neighbours of one reason are one range


def test_join_compares_at_the_boundary():

    def part(*numbers):
        meter = StillnessMeter()
        for number in numbers:
            meter.add(numbered_frame(number)[..., 0])
        return meter.result

    joined = join_stillness([part(1, 2), part(2, 2), part(3)])
    assert joined.changes.tolist() == [True, True, False, False, True]


def test_undecodable_wins_and_ranges_are_disjoint():
    meter = StillnessMeter()
    for _ in range(20):
        meter.add(BLACK[..., 0])
    meter.add(numbered_frame(1)[..., 0])
    assert excluded_ranges(meter.result, [(5, 8)],
                           10) == ((0, 5, 'blank'), (5, 8, 'undecodable'),
                                   (8, 20, 'blank'))


def test_hole_is_filled_and_excluded(tmp_path, prepare, numbers):
    good = write_video(tmp_path / 'good.mp4', 200)
    bad = damage(good, tmp_path / 'bad.mp4', 'zeroed_hole')
    done = prepare(bad)
    found = numbers(done.path)
    assert len(found) == 200
    holes = [r for r in done.manifest.excluded if r[2] == 'undecodable']
    assert holes and all(r[2] == 'undecodable' for r in done.manifest.excluded)
    lost = np.zeros(200, bool)
    for begin, end, _ in holes:
        lost[begin:end] = True
        # The frame before is repeated; at the start of a segment, the next.
        assert set(found[begin:end]) <= {begin - 1, end, *range(begin, end)}
    assert 15 <= lost.sum() <= 70
    assert all(n == i for i, n in enumerate(found) if not lost[i])


def test_damaged_transport_stream_keeps_what_is_right(tmp_path, prepare,
                                                      numbers):
    path = tmp_path / 'a.ts'
    write_video(path, 250, fps=10)
    data = bytearray(path.read_bytes())
    middle = len(data) // 188 // 2 * 188
    data[middle:middle + 188 * 40] = bytes(188 * 40)
    path.write_bytes(data)
    done = prepare(path)
    found = numbers(done.path)
    lost = np.zeros(len(found), bool)
    for begin, end, reason in done.manifest.excluded:
        assert reason == 'undecodable'
        lost[begin:end] = True
    sound = [n for n, bad in zip(found, lost) if not bad]
    assert 100 <= len(sound) < 250 and sound == sorted(set(sound))
    # Lost frames are either in the list or said to be gone.
    if len(found) < 240:
        notes = done.manifest.notes
        assert any('pictures end after' in note for note in notes)
