"""Panels that show what is tracked.

Letters: T frames, K objects, H heads, N patches, S view size in pixels.
"""
import colorsys
import math
from typing import Dict, List, Mapping, Sequence, Tuple

import cv2
import numpy as np

from dora_mm.utils.pixels import RGB_MEAN, resize_frames
from .image_ops import blend, grey, heat, note, wrap_text

_ROWS = ('attention', 'raw tracks', 'refined tracks', 'masks')
_MIXED = ('Numbered colours: the objects, counted from 0 as in arrays. {}'
          'pixel has the colour of its strongest object, dimmed to grey where '
          'none is strong.')
_PANEL_LEGEND = (
    'Heat: dark where a map is lowest, bright where it is highest; peak: its '
    'highest value, 1.00x for a uniform map. Heads are counted from 0, too.',
    _MIXED.format('Borders have them as well. All together, a '),
    'Masks: what is kept for the student, together as outlines; the flat '
    'colour is hidden from it.')
_OVERVIEW_LEGEND = (_MIXED.format('A '),
                    'Masks: outlines of what is kept for the student.')
_BACKGROUND = (250, 250, 250)
_INK = (30, 30, 30)
Tracks = Mapping[str, np.ndarray]  # see track_clip
Cells = Dict[Tuple[int, int], np.ndarray]  # (row, column): picture
# Where the student sees nothing it sees the data set's mean colour.
_HIDDEN = np.array(RGB_MEAN, np.float32)


class TrackVisualizer:
    """Draw attention, tracks and masks over the frames of a clip.

    A map is stretched from its own minimum to its own maximum, and its peak
    is written into the cell as a multiple of a uniform map, so a flat map
    (1.00x) is not mistaken for a sharp one.

    Args:
        cell (int): Side of a picture in pixels. Defaults to 192.

    Raises:
        ValueError: If ``cell`` is too small for the labels.
    """

    def __init__(self, cell: int = 192) -> None:
        if cell < 64:
            raise ValueError(
                f'cell must be at least 64 pixels, but got {cell}: raise it')
        self.cell = cell
        self.gap = max(cell // 32, 3)
        self.font = cell / 420

    def draw_panels(self, frames: np.ndarray, tracks: Tracks,
                    titles: Sequence[str]) -> List[np.ndarray]:
        """One labelled panel for each frame.

        The rows are the [CLS] attention of each head, the raw tracks (before
        Sinkhorn), the refined ones and the masked frames. The first column
        has the frame and all objects together, then comes a column for each
        object under the head that it was discovered by; the other heads
        fill the columns on the right from top to bottom.

        Args:
            frames (np.ndarray): (T, S, S, 3), uint8, RGB.
            tracks (dict[str, np.ndarray]): See :func:`track_clip`.
            titles (Sequence[str]): A line of text for each frame.

        Returns:
            list[np.ndarray]: T panels (height, width, 3), uint8, RGB; both
            sides are even.
        """
        heads = [int(head) for head in tracks['heads']]
        num_heads = tracks['head_attn'].shape[1]
        others = [head for head in range(num_heads) if head not in heads]
        columns = ['frame, all objects'] + [
            f'object {i} (head {head})' for i, head in enumerate(heads)
        ]
        columns += ['other heads: attention'] * math.ceil(
            len(others) / len(_ROWS))
        panels = []
        for t, title in enumerate(titles):
            frame = self._resize(frames[t])
            attn = tracks['head_attn'][t]
            cells = self._object_cells(frame, tracks, t)
            for i, head in enumerate(others):
                cells[i % len(_ROWS), 1 + len(heads) + i // len(_ROWS)] = (
                    self._heat(frame, attn[head], f'head {head} '))
            panels.append(
                self._grid(cells, _ROWS, columns, title, _PANEL_LEGEND))
        return panels

    def draw_overview(self, frames: np.ndarray, tracks: Tracks,
                      captions: Sequence[str], title: str) -> np.ndarray:
        """The whole clip as one picture, a column for each frame.

        Args:
            frames (np.ndarray): (T, S, S, 3), uint8, RGB.
            tracks (dict[str, np.ndarray]): See :func:`track_clip`.
            captions (Sequence[str]): A short text for each frame.
            title (str): A line of text.

        Returns:
            np.ndarray: (height, width, 3), uint8, RGB; both sides are even.
        """
        cells = {}
        for t in range(len(frames)):
            frame = self._resize(frames[t])
            cells.update({
                (row, t): image
                for row, image in enumerate(self._together(frame, tracks, t))
            })
        return self._grid(cells, ('frame', ) + _ROWS[1:], captions, title,
                          _OVERVIEW_LEGEND)

    def _object_cells(self, frame: np.ndarray, tracks: Tracks,
                      t: int) -> Cells:
        """The first 1 + K columns."""
        cells = {
            (row, 0): image
            for row, image in enumerate(self._together(frame, tracks, t))
        }
        colours = _colours(len(tracks['heads']))
        for i, head in enumerate(tracks['heads']):
            images = (
                self._heat(frame, tracks['head_attn'][t, head]),
                self._heat(frame, tracks['raw_track_attn'][t, i]),
                self._heat(frame, tracks['track_attn'][t, i]),
                self._masked(frame, tracks['object_masks'][t, i]),
            )
            for row, image in enumerate(images):
                width = max(self.cell // 64, 2)
                cv2.rectangle(image, (0, 0), (self.cell - 1, self.cell - 1),
                              colours[i].tolist(), width)
                cells[row, i + 1] = image
        return cells

    def _together(self, frame: np.ndarray, tracks: Tracks,
                  t: int) -> Tuple[np.ndarray, ...]:
        """The frame, and all objects in one: raw, refined, masks."""
        return (
            frame.copy(),
            self._mixed(frame, tracks['raw_track_attn'][t]),
            self._mixed(frame, tracks['track_attn'][t]),
            self._outlined(frame, tracks['object_masks'][t]),
        )

    def _resize(self, image: np.ndarray) -> np.ndarray:
        return resize_frames(image[None], (self.cell, self.cell))[0]

    def _upsample(self,
                  values: np.ndarray,
                  interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
        """(N,) or (h, w) to the size of a cell."""
        if values.ndim == 1:
            side = math.isqrt(values.size)
            values = values.reshape(side, side)
        return cv2.resize(
            values.astype(np.float32), (self.cell, self.cell),
            interpolation=interpolation)

    def _stretched(self, values: np.ndarray) -> np.ndarray:
        span = values.max() - values.min()
        values = (values - values.min()) / max(span, 1e-12)
        return self._upsample(values).clip(0, 1)

    def _heat(self,
              frame: np.ndarray,
              values: np.ndarray,
              label: str = '') -> np.ndarray:
        strength = self._stretched(values)
        image = heat(frame, strength)
        peak = values.max() / values.mean()
        return self._note(image, f'{label}peak {peak:.2f}x')

    def _mixed(self, frame: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Each pixel in the colour of its strongest object."""
        strength = np.stack([self._stretched(values) for values in maps])
        colour = _colours(len(maps))[strength.argmax(0)]
        image = blend(grey(frame), colour, 0.8 * strength.max(0)**1.5)
        return self._numbered(image, len(maps))

    def _numbered(self, image: np.ndarray, number: int) -> np.ndarray:
        """Say in the lower left corner whose the colours are."""
        side = self.cell // 10
        for i, colour in enumerate(_colours(number)):
            x, y = i * side, self.cell - side
            image[y:, x:x + side] = colour
            self._text(image, str(i), x + side // 4, y + 0.8 * side)
        return image

    def _masked(self, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        pixels = self._mask_pixels(mask)
        image = blend(
            np.broadcast_to(_HIDDEN, frame.shape).copy(), frame, pixels)
        return self._note(image, f'{100 * mask.mean():.0f} % kept')

    def _outlined(self, frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Masks as colour and outline; where several agree, as nested ones."""
        colours = _colours(len(masks))
        pixels = np.stack([self._mask_pixels(mask) for mask in masks])
        total = pixels.sum(0)
        mean = np.tensordot(pixels, colours, axes=(0, 0))
        mean /= np.maximum(total, 1e-12)[..., None]
        image = blend(frame, mean, 0.35 * total.clip(0, 1))
        line = max(self.cell // 96, 1)
        for i, colour in enumerate(colours):
            outlines, _ = cv2.findContours(
                (pixels[i]
                 > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(image, outlines, -1, colour.tolist(),
                             line * (2 * (len(masks) - i) - 1))
        return image

    def _mask_pixels(self, mask: np.ndarray) -> np.ndarray:
        soft = ((mask > 0) & (mask < 1)).any()
        return self._upsample(mask,
                              cv2.INTER_LINEAR if soft else cv2.INTER_NEAREST)

    def _note(self, image: np.ndarray, text: str) -> np.ndarray:
        return note(image, text, self.font)

    def _text(self,
              image: np.ndarray,
              text: str,
              x: float,
              y: float,
              colour: Tuple[int, int, int] = _INK,
              scale: float = 1.) -> None:
        cv2.putText(image, text, (int(x), int(y)), cv2.FONT_HERSHEY_SIMPLEX,
                    self.font * scale, colour, 1, cv2.LINE_AA)

    def _grid(self, cells: Cells, rows: Sequence[str], columns: Sequence[str],
              title: str, sentences: Sequence[str]) -> np.ndarray:
        """Put cells in place, with labels left, above, a title, a legend."""
        pitch, line = self.cell + self.gap, int(60 * self.font)
        left = self.gap + max(
            cv2.getTextSize(row, cv2.FONT_HERSHEY_SIMPLEX, self.font, 1)[0][0]
            for row in rows) + 2 * self.gap
        top = 2 * line
        bottom, width = top + len(rows) * pitch, left + len(columns) * pitch
        legend = [
            part for text in sentences
            for part in wrap_text(text, width - 2 * self.gap, self.font)
        ]
        height = bottom + int((0.7 * len(legend) + 0.5) * line)
        image = np.full((height + height % 2, width + width % 2, 3),
                        _BACKGROUND, np.uint8)
        self._text(image, title, self.gap, 0.75 * line, scale=1.15)
        for row, label in enumerate(rows):
            self._text(image, label, self.gap, top + (row + 0.5) * pitch)
        for column, label in enumerate(columns):
            self._text(image, label, left + column * pitch, 1.8 * line)
        for (row, column), picture in cells.items():
            y, x = top + row * pitch, left + column * pitch
            image[y:y + self.cell, x:x + self.cell] = picture
        for i, text in enumerate(legend):
            self._text(image, text, self.gap, bottom + 0.7 * (i + 1) * line)
        return image


def _colours(number: int) -> np.ndarray:
    """Well separated hues, float32 (number, 3) in [0, 255]."""
    hues = [(0.08 + i / number) % 1 for i in range(number)]
    return np.array([colorsys.hsv_to_rgb(hue, 0.85, 1.)
                     for hue in hues], np.float32) * 255
