import av
import cv2
import numpy as np
import pytest

from dora_mm.visualization import TrackVisualizer
from dora_mm.visualization.write_images import write_mp4, write_png

CELL, HEADS, OBJECTS, FRAMES, GRID = 96, 6, 2, 3, 4


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (FRAMES, CELL, CELL, 3), dtype=np.uint8)


@pytest.fixture
def tracks():
    """Objects from heads 4 and 1; object i has its peak in patch 5 + i."""
    shape = (FRAMES, OBJECTS, GRID * GRID)
    attn = np.full(shape, 0.5 / 15, np.float32)
    for i in range(OBJECTS):
        attn[:, i, 5 + i] = 0.5
    masks = (attn > 0.1).astype(np.float32)
    return dict(
        head_attn=np.full((FRAMES, HEADS, GRID * GRID), 1 / 16, np.float32),
        raw_track_attn=attn[:, ::-1].copy(),
        track_attn=attn,
        object_masks=masks.reshape(FRAMES, OBJECTS, GRID, GRID),
        heads=np.array([4, 1]))


@pytest.fixture
def cells(monkeypatch):
    """Panels as {(row, column): picture} instead of as one picture."""

    def keep(self, pictures, rows, columns, *texts):
        assert {row for row, _ in pictures} == set(range(len(rows)))
        assert {column for _, column in pictures} == set(range(len(columns)))
        return pictures

    monkeypatch.setattr(TrackVisualizer, '_grid', keep)


def inside(picture, row, column):
    """A patch of a cell, without the seams, borders and labels."""
    side = CELL // GRID
    y, x = row * side, column * side
    return picture[y + 6:y + side - 6, x + 6:x + side - 6].astype(int)


def test_masks_show_what_the_student_sees(frames, tracks, cells):
    panel = TrackVisualizer(CELL).draw_panels(frames, tracks, 'abc')[1]
    for i in range(OBJECTS):
        picture = panel[3, 1 + i]
        for row in range(GRID):
            for column in range(GRID - 1):
                found = inside(picture, row, column)
                expected = inside(frames[1], row, column)
                if row * GRID + column != 5 + i:
                    expected = np.array([124, 116, 104])
                if row < GRID - 1:  # the label covers the last row
                    assert (found == expected).all(), (i, row, column)


def test_maps_are_hottest_where_they_peak(frames, tracks, cells):
    frames[:] = 128  # so that only the map makes a difference
    panel = TrackVisualizer(CELL).draw_panels(frames, tracks, 'abc')[0]
    for i in range(OBJECTS):
        for line, patch in ((1, 6 - i), (2, 5 + i)):
            red = np.array([[
                inside(panel[line, 1 + i], row, column)[..., 0].mean()
                for column in range(GRID)
            ] for row in range(GRID - 1)])
            assert red.argmax() == patch, (i, line)


def test_a_flat_map_is_not_shown_as_sharp(frames, tracks, cells):
    frames[:] = 128
    panel = TrackVisualizer(CELL).draw_panels(frames, tracks, 'abc')[0]
    flat = np.stack([
        inside(panel[0, 1], row, column) for row in range(GRID - 1)
        for column in range(GRID)
    ])
    assert np.ptp(flat, axis=(0, 1, 2)).max() == 0


def test_every_head_is_shown_once(frames, tracks, cells, monkeypatch):
    labels = []
    note = TrackVisualizer._note

    def remember(self, image, text):
        labels.append(text)
        return note(self, image, text)

    monkeypatch.setattr(TrackVisualizer, '_note', remember)
    panel = TrackVisualizer(CELL).draw_panels(frames[:1], tracks, 'a')[0]
    # frame, two objects, and one column for the four heads not drawn
    assert set(panel) == {(r, c) for r in range(4) for c in range(4)}
    heads = [text.split()[1] for text in labels if text.startswith('head')]
    assert heads == ['0', '2', '3', '5']


def test_equal_masks_are_all_visible(frames, tracks, cells):
    frames[:] = 128
    tracks['object_masks'][:, 1] = tracks['object_masks'][:, 0]
    panel = TrackVisualizer(CELL).draw_overview(frames, tracks, 'abc', 'd')
    colours = {tuple(pixel) for pixel in panel[3, 2].reshape(-1, 3)}
    borders = [panel[0, 0]]  # the plain frame has no colour
    assert len({tuple(p) for p in borders[0].reshape(-1, 3)}) == 1
    drawn = TrackVisualizer(CELL).draw_panels
    for i in range(OBJECTS):
        edge = drawn(frames[:1], tracks, 'a')[0][3, 1 + i][0, 0]
        assert tuple(edge) in colours


def test_soft_masks_fade(frames, tracks, cells):
    tracks['object_masks'] *= 0.5
    picture = TrackVisualizer(CELL).draw_panels(frames, tracks, 'abc')[0][3, 1]
    middle = inside(picture, 1, 1)[4:8, 4:8]
    frame = inside(frames[0], 1, 1)[4:8, 4:8]
    hidden = np.array([124, 116, 104])
    share = ((middle - hidden) / np.where(frame == hidden, 1, frame - hidden))
    assert 0.4 < np.median(share) < 0.55


def test_panels_can_be_written(frames, tracks, tmp_path):
    panels = TrackVisualizer(CELL).draw_panels(frames, tracks, ['t'] * FRAMES)
    height, width = panels[0].shape[:2]
    assert height % 2 == width % 2 == 0
    assert height > 4 * CELL and width > 4 * CELL
    write_png(tmp_path / 'a.png', panels[0])
    found = cv2.imread(str(tmp_path / 'a.png'))[..., ::-1]
    assert (found == panels[0]).all()

    write_mp4(tmp_path / 'a.mp4', panels, 0.5)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        images = [
            f.to_ndarray(format='rgb24') for f in container.decode(stream)
        ]
        assert float(stream.average_rate) == 10
    assert len(images) == 5 * FRAMES
    for t, panel in enumerate(panels):
        error = images[5 * t + 2].astype(int) - panel
        assert abs(error).mean() < 12
    with pytest.raises(OSError, match='cannot be written'):
        write_png(tmp_path / 'none' / 'a.png', panels[0])


def test_cell_must_hold_its_label():
    with pytest.raises(ValueError, match='cell must be at least 64'):
        TrackVisualizer(32)


def test_panels_have_a_legend_and_overviews_a_key(frames, tracks, monkeypatch):
    """No word ends outside the picture."""
    written = []
    put = cv2.putText

    def remember(image, text, place, font, scale, colour, *rest):
        size, _ = cv2.getTextSize(text, font, scale, 1)
        written.append((text, place[0] + size[0] <= image.shape[1],
                        place[1] <= image.shape[0]))
        return put(image, text, place, font, scale, colour, *rest)

    monkeypatch.setattr(cv2, 'putText', remember)
    overview = TrackVisualizer(CELL).draw_overview(frames, tracks, 'abc', 'd')
    words = ' '.join(text for text, *_ in written)
    assert 'dimmed to grey' in words and 'counted from 0' in words
    for absent in ('Heat', 'peak', 'Borders', 'flat colour'):
        assert absent not in words
    # one key a map of all objects, raw and refined, from 0 as heads are
    keys = [text for text, *_ in written if text.isdigit()]
    assert keys == [str(i) for i in range(OBJECTS)] * 2 * FRAMES
    written.clear()
    TrackVisualizer(CELL).draw_panels(frames, tracks, 'abc')
    words = ' '.join(text for text, *_ in written)
    for wanted in ('dimmed to grey', 'Borders', 'hidden from it', '1.00x',
                   'object 0 (head 4)', 'counted from 0'):
        assert wanted in words
    assert all(fits for _, *both in written for fits in both)
    assert len(np.unique(overview[-CELL // 8:])) > 2
