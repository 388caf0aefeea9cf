"""JPEGs of a part of a picture, made without decoding."""
import struct
from typing import NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

# x, y, width, height in pixels.
Box = Tuple[int, int, int, int]

# Second bytes of marks: the size, the interval of restarts, the data.
_SIZE, _INTERVAL, _SCAN = 0xC0, 0xDD, 0xDA
# Pixels kept beside a box. Chroma of half the size reaches over two when it is
# enlarged, and libjpeg enlarges parts of up to four pixels another way.
_MARGIN = 4


def cut_jpegs(jpegs: Sequence[bytes],
              box: Box) -> Tuple[Sequence[Union[bytes, bytearray]], Box]:
    """Leave out of JPEGs what a box of their pictures does not need.

    JPEGs whose decoding restarts at the same places of each row of blocks, as
    the preparation writes them, can be cut there: what is kept decodes to the
    same pixels.

    Args:
        jpegs (Sequence[bytes]): JPEGs of pictures of one size, at least one.
        box (tuple[int, int, int, int]): x, y, width, height in pixels of the
            pictures, inside them.

    Returns:
        tuple[Sequence[bytes | bytearray], tuple[int, int, int, int]]: JPEGs
        of a part of the pictures, and the box in pixels of that part. Where
        one cannot be cut all are returned as they came.
    """
    layouts = list(map(_Layout.of, jpegs))
    if None in layouts or len({layout.grid for layout in layouts}) > 1:
        return jpegs, box
    starts = [
        layout.find_starts(jpeg) for layout, jpeg in zip(layouts, jpegs)
    ]
    if any(found is None for found in starts):
        return jpegs, box
    grid = layouts[0].grid
    x, y, width, height = box
    part = (*_span(x, width, grid.width, grid.unit_width),
            *_span(y, height, grid.height, grid.unit_height))
    corner = part[0] * grid.unit_width, part[2] * grid.unit_height
    return [_cut(*each, part) for each in zip(jpegs, layouts, starts)
            ], (x - corner[0], y - corner[1], width, height)


def _cut(jpeg: bytes, layout: '_Layout', starts: np.ndarray,
         part: Tuple[int, int, int, int]) -> bytearray:
    """The stretches [left, right) of the rows [top, bottom)."""
    left, right, top, bottom = part
    grid = layout.grid
    first = np.arange(top, bottom) * grid.num_columns + left
    begins, ends = starts[first], starts[first + right - left]
    view = memoryview(jpeg)
    cut = bytearray().join([
        view[:layout.data],
        *(view[b:e] for b, e in zip(begins.tolist(), ends.tolist()))
    ])
    # Every stretch has brought the mark behind it. Marks count modulo 8, and
    # the last one ends the picture.
    marks = starts[first[:, None] + np.arange(1, right - left + 1)] - 1
    marks += (layout.data + (ends - begins).cumsum() - ends)[:, None]
    np.frombuffer(cut, np.uint8)[marks.ravel()] = 0xD0 + np.arange(
        marks.size) % 8
    cut[-1] = 0xD9
    height = min(bottom * grid.unit_height, grid.height)
    width = min(right * grid.unit_width, grid.width)
    struct.pack_into('>HH', cut, layout.size, height - top * grid.unit_height,
                     width - left * grid.unit_width)
    return cut


def _span(begin: int, length: int, full: int, unit: int) -> Tuple[int, int]:
    """Units [first, end) that hold a side of a box and what reaches in."""
    first = max(0, begin - _MARGIN) // unit
    return first, -(-min(full, begin + length + _MARGIN) // unit)


class _Grid(NamedTuple):
    """Where the decoding of a picture restarts."""
    width: int
    height: int
    unit_width: int  # pixels from one restart to the next
    unit_height: int

    @property
    def num_columns(self) -> int:
        return -(-self.width // self.unit_width)

    @property
    def num_rows(self) -> int:
        return -(-self.height // self.unit_height)


class _Layout(NamedTuple):
    """Where things lie in a JPEG that can be cut."""
    size: int  # byte at which height and width are written
    data: int  # byte at which the first stretch begins
    grid: _Grid

    @classmethod
    def of(cls, jpeg: bytes) -> Optional['_Layout']:
        """None if the JPEG cannot be cut."""
        size, interval, place, mark = None, 0, 2, None
        planes = b''
        while mark != _SCAN:
            if place + 4 > len(jpeg) or jpeg[place] != 0xff:
                return None
            mark = jpeg[place + 1]
            if mark == _SIZE:
                size = place + 5
                planes = jpeg[size + 4:size + 5]
            elif mark == _INTERVAL:
                interval = _number(jpeg, place + 4)
            elif mark == _SCAN and jpeg[place + 4:place + 5] != planes:
                return None  # more scans follow, of other planes
            place += 2 + _number(jpeg, place + 2)
        if not planes or not interval or jpeg[-2:] != b'\xff\xd9':
            return None
        height, width = _number(jpeg, size), _number(jpeg, size + 2)
        factors = jpeg[size + 6:size + 6 + 3 * planes[0]:3]
        across, down = 8, 8
        if len(factors) > 1:  # a single plane has blocks of 8x8 anyway
            across *= max(factor >> 4 for factor in factors)
            down *= max(factor & 15 for factor in factors)
        # Damaged factors are 0.
        if not across * down or -(-width // across) % interval:
            return None
        return cls(size, place, _Grid(width, height, across * interval, down))

    def find_starts(self, jpeg: bytes) -> Optional[np.ndarray]:
        """First byte of each stretch, and behind the last mark; int64.

        None if the marks are not as many as the size of the picture says, or
        not in turn.
        """
        data = np.frombuffer(jpeg, np.uint8)[self.data:-2]
        marks = np.flatnonzero((data[:-1] == 0xff) & (data[1:] >> 3 == 26))
        if len(marks) + 1 != self.grid.num_columns * self.grid.num_rows:
            return None
        if ((data[marks + 1] - np.arange(len(marks))) % 8).any():
            return None
        return np.concatenate(
            ([self.data], marks + self.data + 2, [len(jpeg)]))


def _number(jpeg: bytes, place: int) -> int:
    return int.from_bytes(jpeg[place:place + 2], 'big')
