"""Shot cuts: against plain loops, a library, and films with known cuts."""
from pathlib import Path

import numpy as np
import pytest
from video_factory import moving_shot

from dora_mm.video.shot_cuts import ChangeMeter, find_cuts, join_changes
from dora_mm.video.video_stats import shot_cuts

DATA = Path(__file__).resolve().parents[2] / '../shared/data/videos'
LENGTHS = (14, 9, 30, 21, 11)
CUTS = (14, 23, 53, 74)


def film(lengths=LENGTHS):
    """Shots of a texture each that moves by a pixel or three a frame."""
    return np.concatenate([
        moving_shot(seed, length, speed=1 + 2 * (seed % 2))
        for seed, length in enumerate(lengths)
    ])


def measure(frames):
    meter = ChangeMeter()
    for frame in frames:
        meter.add([frame, frame[::2, ::2] // 2, 255 - frame[::2, ::2]])
    return meter.result


def found(frames):
    return find_cuts(join_changes([measure(frames)]))


def test_change_against_loops():
    """Cells that show what the other picture does not show within two.

    Each frame against the eight before; the first one stands for the rest.
    """
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (10, 18, 32, 3), np.uint8)
    meter = ChangeMeter()
    for picture in cells:
        meter.add_small(picture)

    def outside(a, b):
        total = 0
        for y, x, c in np.ndindex(a.shape):
            near = b[max(0, y - 2):y + 3, max(0, x - 2):x + 3, c]
            value = int(a[y, x, c])
            total += max(0, value - int(near.max()), int(near.min()) - value)
        return total / a.size

    def distance(i, j):
        return (outside(cells[i], cells[j]) + outside(cells[j], cells[i])) / 2

    expected = [[distance(max(n - back, 0), n) for back in range(1, 9)]
                for n in (0, 1, 2, 9)]
    np.testing.assert_allclose(
        meter.result.values[[0, 1, 2, 9]], expected, rtol=1e-6)


def test_hard_cuts_are_found_in_motion():
    assert found(film()) == CUTS
    assert found(film()[:8]) == ()


def test_cuts_between_fast_shots_are_found_on_their_frame():
    """What moves by more than two cells within two frames."""
    shots = [moving_shot(seed, 20, speed=9) for seed in range(6)]
    assert found(np.concatenate(shots)) == (20, 40, 60, 80, 100)


@pytest.mark.parametrize('borders', [(14, ), (13, 15), (1, 2, 3, 53, 54),
                                     (14, 14, 60), tuple(range(3, 83, 7))])
def test_segments_make_no_difference(borders):
    """Cuts at, beside and between borders; segments of 0 to 8 frames."""
    frames = film()
    edges = [0, *borders, len(frames)]
    parts = [measure(frames[a:b]) for a, b in zip(edges, edges[1:])]
    whole = measure(frames).values
    np.testing.assert_array_equal(join_changes(parts), whole)


def test_conversions_of_the_frame_rate():
    frames = film()
    # 3:2 pulldown, as of cinema film on television.
    numbers = np.arange(len(frames) * 5 // 2) * 2 // 5
    expected = tuple(np.searchsorted(numbers, CUTS).tolist())
    assert found(frames[numbers]) == expected
    # A frame at each cut that blends both shots.
    blended = frames.copy()
    for cut in CUTS:
        blended[cut] = frames[cut - 1] // 2 + frames[cut] // 2
    cuts = found(blended)
    assert [0 <= a - b <= 1 for a, b in zip(cuts, CUTS)] == 4 * [True]
    assert len(cuts) == 4
    # Twice as many frames, every second one of them between two.
    doubled = np.repeat(frames, 2, 0)[:-1]
    doubled[1::2] = frames[:-1] // 2 + frames[1:] // 2
    cuts = found(doubled)
    assert [0 <= 2 * b - a <= 1 for a, b in zip(cuts, CUTS)] == 4 * [True]
    assert len(cuts) == 4


@pytest.mark.parametrize('length', range(1, 8))
def test_flashes_are_no_cuts(length):
    for speed in (1, 3):
        frames = moving_shot(0, 40, speed)
        for flash in (255 - frames[:length] // 4, moving_shot(1, length),
                      np.full_like(frames[:length], 16)):
            film = frames.copy()
            film[20:20 + length] = flash
            assert found(film) == ()
        # One that fades, and one that grows.
        left = 0.5**np.arange(length)[:, None, None]
        for share in (left, left[::-1]):
            film = frames.astype(float)
            film[20:20 + length] += share * (255 - film[20:20 + length])
            assert found(film.astype(np.uint8)) == ()


@pytest.mark.parametrize('length', range(1, 8))
@pytest.mark.parametrize('between', ['black', 'white', 'third scene'])
def test_two_changes_do_not_hide_each_other(between, length):
    """The picture does not come back; of one frame between there is a cut."""
    middle = moving_shot(2, length)
    if between != 'third scene':
        middle[:] = dict(black=16, white=235)[between]
    cuts = found(
        np.concatenate([moving_shot(0, 30), middle,
                        moving_shot(1, 30)]))
    if length == 1:
        assert len(cuts) == 1 and cuts[0] in (30, 31)
    else:
        assert cuts == (30, 30 + length)


def test_shots_of_five_frames_are_found():
    lengths = (20, 5, 6, 7, 5, 5, 8, 6, 20)
    assert found(film(lengths)) == tuple(np.cumsum(lengths[:-1]).tolist())


def test_repeated_pictures_count_as_frames():
    frames = film((12, 12))
    meter = ChangeMeter()
    for frame in frames:
        meter.add([frame] * 3, times=3)
    assert find_cuts(join_changes([meter.result])) == (36, )


def test_ends_of_the_film():
    a, b = moving_shot(0, 12), moving_shot(1, 12)
    assert found(np.concatenate([a[:1], b])) == (1, )
    assert found(np.concatenate([a, b[:1]])) == (12, )
    assert found(a[:1]) == () and found(a[:0]) == ()


def test_agrees_with_pyscenedetect():
    scenedetect = pytest.importorskip('scenedetect')
    frames = film()
    detector = scenedetect.ContentDetector(min_scene_len=1, luma_only=True)
    rate = scenedetect.FrameTimecode(0, 25.)
    cuts = [
        cut.frame_num for n, frame in enumerate(frames)
        for cut in detector.process_frame(rate + n, np.dstack([frame] * 3))
    ]
    assert tuple(cuts) == found(frames)


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f'the real videos are not in {DATA}')
@pytest.mark.parametrize('name, fps, cuts', [
    ('bikes_640x272_25fps', 25, (30, 76, 137, 187, 242)),
    ('driving_960x540_25fps', 25, ()),
    ('scenes14_854x480_24fps', 24, (84, 174, 249, 353, 443, 503, 555, 605, 695,
                                    745, 795, 875, 918)),
])
def test_real_films(name, fps, cuts):
    """A pan at 914 of the 14 scenes, four frames before a cut, is none."""
    seconds = shot_cuts(DATA / f'{name}.mp4')
    assert [round(second * fps) for second in seconds] == list(cuts)
