from typing import List, NamedTuple, Sequence, Tuple

import numpy as np


class FileClips(NamedTuple):
    """What decides where the clips of a file are.

    Attributes:
        num_starts (int): Start frames at which a whole clip fits.
        offsets (tuple[int, ...]): Frames of a clip, from its start frame.
        excluded (tuple[tuple[int, int], ...]): Frames [begin, end) that no
            clip may contain, in any order.
        cuts (tuple[int, ...]): Frames that begin a shot, in any order. No
            clip may have its first frame before one and its last frame at
            that one or behind.
    """
    num_starts: int
    offsets: Tuple[int, ...]
    excluded: Tuple[Tuple[int, int], ...] = ()
    cuts: Tuple[int, ...] = ()


class ClipIndex:
    """From the number of a clip to its file and start frame, and back.

    Memory depends on the number of files, excluded ranges and cuts only.

    Args:
        files (Sequence[FileClips]): The files, in order.
        start_stride (int): Use start frames that are multiples of it.
    """

    def __init__(self, files: Sequence[FileClips], start_stride: int) -> None:
        self.start_stride = start_stride
        spans = [(number, first, num) for number, file in enumerate(files)
                 for first, num in self._spans(file)]
        # Stretches of clips whose start frames are `start_stride` apart.
        self._files, self._firsts, counts = np.array(spans,
                                                     np.int64).reshape(-1, 3).T
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def locate(self, index: int) -> Tuple[int, int]:
        """Find a clip.

        Args:
            index (int): In [0, len(self)).

        Returns:
            tuple[int, int]: Number of the file and of the start frame in it.
        """
        span = int(np.searchsorted(self._ends, index, side='right'))
        before = int(self._ends[span - 1]) if span > 0 else 0
        start = int(self._firsts[span]) + (index - before) * self.start_stride
        return int(self._files[span]), start

    def blocks(self, max_clips: int) -> np.ndarray:
        """Divide the clips into blocks of neighbours.

        A block has at most ``max_clips`` clips, whose start frames lie
        ``start_stride`` apart in one file.

        Args:
            max_clips (int): At least 1.

        Returns:
            np.ndarray: int64 (blocks, 2): index of the first clip and the one
            behind the last, ascending.
        """
        ranges = []
        begin = 0
        for end in map(int, self._ends):
            num = -(-(end - begin) // max_clips)
            edges = np.linspace(begin, end, num + 1).round().astype(np.int64)
            ranges += zip(edges[:-1], edges[1:])
            begin = end
        return np.array(ranges, np.int64).reshape(-1, 2)

    def _spans(self, file: FileClips) -> List[Tuple[int, int]]:
        """First start frame and number of clips of each free stretch."""
        # A frame is excluded for as many starts as a clip has frames.
        taken = [(begin - offset, end - offset)
                 for begin, end in file.excluded for offset in file.offsets]
        taken += [(cut - file.offsets[-1], cut) for cut in file.cuts]
        stride = self.start_stride
        spans, free = [], 0
        for begin, end in [*sorted(taken), (file.num_starts, file.num_starts)]:
            begin = min(begin, file.num_starts)
            first = -(-free // stride) * stride
            if first < begin:
                spans.append((first, -(-(begin - first) // stride)))
            free = max(free, end)
        return spans
