"""JPEGs of a part of a picture, made without decoding."""
import struct
from typing import NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

# x, y, width, height in pixels.
Box = Tuple[int, int, int, int]

# Second bytes of marks: the size, the interval of restarts, a comment, the
# data.
_SIZE, _INTERVAL, _COMMENT, _SCAN = 0xC0, 0xDD, 0xFE, 0xDA
# Begins the comment of :func:`note_stretches`; two bytes a stretch follow.
_NOTE = b'stretches'
# More have no room in a comment.
MOST_STRETCHES = ((1 << 16) - 3 - len(_NOTE)) // 2
# Pixels kept beside a box. Chroma of half the size reaches over two when it is
# enlarged, and libjpeg enlarges parts of up to four pixels another way.
_MARGIN = 4


def note_stretches(jpeg: bytes) -> bytes:
    """Write into a JPEG how long the stretches between its restarts are.

    :func:`cut_jpegs` would take twice the time to find them.

    Args:
        jpeg (bytes): A JPEG.

    Returns:
        bytes: A JPEG of the same picture; the same one if its decoding does
        not restart at the same places of each row of blocks, or too often.
    """
    layout = _Layout.of(jpeg)
    if layout is None:
        return jpeg
    data = np.frombuffer(jpeg, np.uint8)[layout.data:]
    marks = np.flatnonzero((data[:-1] == 0xff) & (data[1:] >> 3 == 26))
    lengths = np.diff(marks + 2, prepend=0, append=len(data))
    if (len(lengths) != layout.grid.num_stretches
            or len(lengths) > MOST_STRETCHES or lengths.max() >> 16):
        return jpeg
    note = _NOTE + lengths.astype('>u2').tobytes()
    head = struct.pack('>BBH', 0xff, _COMMENT, 2 + len(note))
    return jpeg[:2] + head + note + jpeg[2:]


def cut_jpegs(jpegs: Sequence[bytes],
              box: Box) -> Tuple[Sequence[Union[bytes, bytearray]], Box]:
    """Leave out of JPEGs what a box of their pictures does not need.

    JPEGs of :func:`note_stretches`, as the preparation writes them, can be
    cut where decoding restarts: what is kept decodes to the same pixels.

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
    grid = layouts[0].grid
    x, y, width, height = box
    part = _Part.of(
        grid, _span(x, width, grid.width, grid.unit_width, grid.block),
        _span(y, height, grid.height, grid.unit_height, grid.unit_height))
    cut = [part.cut(*each) for each in zip(jpegs, layouts)]
    if None in cut:
        return jpegs, box
    return cut, (x - part.left, y - part.top, width, height)


def _span(begin: int, length: int, full: int, unit: int,
          block: int) -> Tuple[int, int, int]:
    """Units [first, end) that hold a side of a box and what reaches in.

    Of them so many pixels are decoded: of the last block as few as will do.
    """
    first = max(0, begin - _MARGIN) // unit
    stop = min(full, begin + length + _MARGIN)
    end = -(-stop // unit)
    stop = max(stop, min(full, end * unit - block + 1))
    return first, end, stop - first * unit


class _Grid(NamedTuple):
    """Where the decoding of a picture restarts."""
    width: int
    height: int
    unit_width: int  # pixels from one restart to the next
    unit_height: int
    block: int  # pixels, the width of a block

    @property
    def num_columns(self) -> int:
        return -(-self.width // self.unit_width)

    @property
    def num_stretches(self) -> int:
        return self.num_columns * -(-self.height // self.unit_height)


class _Layout(NamedTuple):
    """Where things lie in a JPEG that may be cut."""
    size: int  # byte at which height and width are written
    data: int  # byte at which the first stretch begins
    grid: _Grid
    note: slice  # bytes of the note of stretches, if it has one

    @classmethod
    def of(cls, jpeg: bytes) -> Optional['_Layout']:
        """None if the JPEG cannot be cut."""
        size, interval, place, mark = None, 0, 2, None
        planes, note = b'', slice(0, 0)
        while mark != _SCAN:
            if place + 4 > len(jpeg) or jpeg[place] != 0xff:
                return None
            mark = jpeg[place + 1]
            end = place + 2 + _number(jpeg, place + 2)
            if mark == _SIZE:
                size = place + 5
                planes = jpeg[size + 4:size + 5]
            elif mark == _INTERVAL:
                interval = _number(jpeg, place + 4)
            elif mark == _COMMENT and jpeg.startswith(_NOTE, place + 4):
                note = slice(place, end)
            elif mark == _SCAN and jpeg[place + 4:place + 5] != planes:
                return None  # more scans follow, of other planes
            place = end
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
        grid = _Grid(width, height, across * interval, down, across)
        return cls(size, place, grid, note)

    def find_starts(self, jpeg: bytes) -> Optional[np.ndarray]:
        """First byte of each stretch, and behind the last one; int64.

        None if there is no note of them, or it is of another picture.
        """
        first = self.note.start + 4 + len(_NOTE)
        number = self.grid.num_stretches
        if self.note.stop - first != 2 * number:
            return None
        starts = np.empty(number + 1, int)
        starts[0] = self.data
        np.frombuffer(jpeg, '>u2', number, first).cumsum(out=starts[1:])
        starts[1:] += self.data
        return starts if starts[-1] == len(jpeg) else None


class _Part(NamedTuple):
    """Stretches of some columns and rows of a grid."""
    left: int  # pixels
    top: int
    width: int
    height: int
    numbers: np.ndarray  # (rows, 1 + columns): where each begins and ends
    old_marks: np.ndarray  # in front of these places, two bytes
    new_marks: np.ndarray  # second bytes of marks in the part: at the ends

    @classmethod
    def of(cls, grid: _Grid, columns: Tuple[int, int, int],
           rows: Tuple[int, int, int]) -> '_Part':
        """Columns and rows: see :func:`_span`."""
        (left, right, width), (top, bottom, height) = columns, rows
        numbers = np.arange(top, bottom)[:, None] * grid.num_columns
        numbers = numbers + np.arange(left, right + 1)
        # Marks count modulo 8. In front of the first stretch is the end of the
        # head, behind the last one the end of the picture.
        old_marks = (0xffd0 + (numbers - 1) % 8).astype('>u2')
        old_marks[numbers == 0] = 0x3f00
        old_marks[numbers == grid.num_stretches] = 0xffd9
        new_marks = (0xd0 + np.arange(numbers[:, 1:].size) % 8).astype('u1')
        new_marks[-1] = 0xd9
        return cls(left * grid.unit_width, top * grid.unit_height, width,
                   height, numbers, old_marks,
                   new_marks.reshape(len(numbers), -1))

    def cut(self, jpeg: bytes, layout: _Layout) -> Optional[bytearray]:
        """None if the JPEG has no note, or marks are not where it says."""
        starts = layout.find_starts(jpeg)
        if starts is None:
            return None
        places = starts[self.numbers]
        pairs = np.ndarray(len(jpeg) - 1, '>u2', jpeg, strides=1)
        if (pairs[places - 2] != self.old_marks).any():
            return None
        view, note = memoryview(jpeg), layout.note
        begins, ends = places[:, 0], places[:, -1]
        cut = bytearray().join([
            view[:note.start], view[note.stop:layout.data],
            *(view[b:e] for b, e in zip(begins.tolist(), ends.tolist()))
        ])
        lengths = ends - begins
        shifts = lengths.cumsum() - ends + len(cut) - lengths.sum()
        marks = places[:, 1:] + shifts[:, None] - 1
        np.frombuffer(cut, np.uint8)[marks] = self.new_marks
        size = layout.size
        if size > note.start:
            size -= note.stop - note.start
        struct.pack_into('>HH', cut, size, self.height, self.width)
        return cut


def _number(jpeg: bytes, place: int) -> int:
    return int.from_bytes(jpeg[place:place + 2], 'big')
