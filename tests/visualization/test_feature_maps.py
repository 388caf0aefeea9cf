import cv2
import numpy as np
import pytest

from dora_mm.visualization.feature_maps import (feature_sheet, pca_colours,
                                                with_caption)


def test_components_are_those_of_all_frames():
    """Patches in four groups come out in four colours, the same ones in both
    frames."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(12, 12)))[0][:4] * [[9], [6], [3],
                                                             [0]]
    groups = rng.integers(0, 4, (2, 5, 4))
    patches = axes[groups] + 0.01 * rng.normal(size=(2, 5, 4, 12))
    colours = pca_colours(patches).astype(int)
    for group in range(4):
        inside = colours[groups == group]
        assert np.ptp(inside, axis=0).max() < 8
        for other in range(group):
            gap = inside.mean(0) - colours[groups == other].mean(0)
            assert np.abs(gap).max() > 60
    # turning the feature space changes no picture
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    assert np.abs(pca_colours(patches @ turn).astype(int) - colours).max() <= 1


def test_too_few_channels():
    with pytest.raises(ValueError, match='at least three channels'):
        pca_colours(np.zeros((1, 4, 4, 2)))


def pictures_of(sheet, rows, columns):
    return [
        picture for row in np.split(sheet, rows)
        for picture in np.split(row, columns, axis=1)
    ]


def test_sheet_shows_each_head():
    frame = np.full((32, 48, 3), 90, np.uint8)
    colours = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    attention = np.zeros((2, 2, 3))
    attention[0, 0, 0] = attention[1, 1, 2] = 1
    pictures = pictures_of(feature_sheet(frame, attention, colours), 2, 3)
    assert (pictures[0] == frame).all() and (pictures[5] == 255).all()
    assert (pictures[1][20, 2] == colours[1, 0]).all()
    # the first head is bright in the upper left, the second lower right
    first, second = pictures[3].sum(-1), pictures[4].sum(-1)
    assert first[4, 4] > first[28, 44] and second[4, 4] < second[28, 44]


def test_sheet_of_six_heads_is_as_wide_as_three_pictures():
    """All nine lay in one row, and their names could not be read."""
    frame = np.full((224, 398, 3), 90, np.uint8)
    colours = np.zeros((14, 24, 3), np.uint8)
    sheet = feature_sheet(frame, np.ones((6, 14, 24)), colours)
    assert sheet.shape == (3 * 224, 3 * 398, 3)


def test_sheet_names_its_pictures_where_there_is_room():
    frame = np.full((120, 160, 3), 90, np.uint8)
    colours = np.full((2, 3, 3), 60, np.uint8)
    sheet = feature_sheet(frame, np.ones((2, 2, 3)), colours)
    pictures = pictures_of(sheet, 2, 3)
    assert (pictures[0] == frame).all()
    for picture in pictures[1:5]:
        corner, rest = picture[100:, :100], picture[:100]
        assert corner.max() > 200 > corner.min() and np.ptp(rest[..., 0]) == 0


def test_a_sheet_is_explained_below_it(monkeypatch):
    ends = []
    put = cv2.putText

    def remember(image, text, place, font, scale, *rest):
        ends.append(place[0] + cv2.getTextSize(text, font, scale, 1)[0][0])
        assert place[1] < len(image)
        return put(image, text, place, font, scale, *rest)

    monkeypatch.setattr(cv2, 'putText', remember)
    sheet = np.full((212, 300, 3), 90, np.uint8)
    shown = with_caption(sheet, 'v.mp4 at 1.00 s')
    assert (shown[:212] == sheet).all() and shown[212:].min() < 50
    assert len(shown) % 2 == 0 and len(ends) > 1 and max(ends) <= 300
    small = np.full((48, 300, 3), 90, np.uint8)
    assert with_caption(small, 'a') is small
