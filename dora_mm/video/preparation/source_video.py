from fractions import Fraction
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

import av
import numpy as np

from dora_mm.utils.counted import counted
from dora_mm.video.display import Display, same_shape
from dora_mm.video.readers.decode_sound import decode_sound
from dora_mm.video.readers.ffmpeg_command import ffmpeg_command
from dora_mm.video.readers.film_decoder import FilmDecoder
from dora_mm.video.readers.mean_rate import round_rate
from dora_mm.video.readers.open_film import film_packets, open_film
from dora_mm.video.readers.packet_sums import checked_packets
from dora_mm.video.readers.pyav_reader import PyAVReader

_SEGMENT_SECONDS = 60
# By how much sound may outlast the pictures: seconds, share of a short file.
_MOST_MISSING = (5., 0.1)


class Segment(NamedTuple):
    """A stretch that one process prepares.

    Attributes:
        number (int): Which one, from 0.
        source (tuple[int, int]): Frames [begin, end) of the source.
        output (tuple[int, int]): Frames [begin, end) of the result.
    """
    number: int
    source: Tuple[int, int]
    output: Tuple[int, int]


class SourceVideo:
    """A video to prepare: its frames as they are shown at a constant rate.

    Frames are numbered twice: as the source shows them (N), and as the result
    does (M). The numbers differ where the source's rate varies: frame m of
    the result is the one that the source shows at m / fps seconds.

    Args:
        path (str): The file.

    Attributes:
        fps (Fraction): Frames per second of the result.
        shown (np.ndarray): int64 (M, ). Which frame of the source each frame
            of the result is.
        notes (list[str]): What differs from the source, for people.

    Raises:
        ValueError: If the file is no video, or has no frames that can be
            decoded or no frame rate. The message names file and remedy.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.reader = PyAVReader(path)
        self.index = self.reader.index
        if self.index.num_frames == 0:
            raise ValueError(
                f'no frame of {path!r} can be decoded: download it again or '
                'leave it out')
        self._aspect = Fraction(1)
        self._read_header()
        self.notes: List[str] = []
        self._set_rate()
        self._add_notes()

    @property
    def num_frames(self) -> int:
        """M."""
        return len(self.shown)

    @property
    def sequential(self) -> bool:
        """Whether the file has to be decoded from its beginning."""
        return not self.index.seekable

    def describe(self) -> dict:
        """The source for the manifest, without the file's identity."""
        return dict(
            codec=self.index.codec,
            width=self.width,
            height=self.height,
            fps=f'{self.index.fps.numerator}/{self.index.fps.denominator}',
            num_frames=self.index.num_frames)

    def segments(self) -> List[Segment]:
        """Stretches of about a minute that begin at key frames."""
        bounds = [0]
        if not self.sequential:
            least = round(_SEGMENT_SECONDS * self.index.fps)
            for key in self._key_numbers():
                if key - bounds[-1] >= least:
                    bounds.append(int(key))
        bounds.append(self.index.num_frames)
        starts = np.searchsorted(self.shown, bounds)
        starts[0] = 0
        return [
            Segment(i, (bounds[i], bounds[i + 1]),
                    (int(starts[i]), int(starts[i + 1])))
            for i in range(len(bounds) - 1)
        ]

    def iter_shown(self,
                   segment: Segment) -> Iterator[Tuple[Optional[object], int]]:
        """Decode a segment.

        Args:
            segment (Segment): The segment.

        Yields:
            tuple[av.VideoFrame | None, int]: A frame, None where frames
            cannot be decoded, and how many frames of the result show it; the
            sum of these is the length of ``segment.output``.
        """
        begin, end = segment.source
        shown = self.shown[slice(*segment.output)] - begin
        counts = np.bincount(shown, minlength=end - begin).tolist()
        position = begin
        for number, frame in self.sound_frames(begin, end):
            if number > position:
                yield None, sum(counts[position - begin:number - begin])
            yield frame, counts[number - begin]
            position = number + 1
        if position < end:
            yield None, sum(counts[position - begin:])

    def sound_frames(self, begin: int,
                     end: int) -> Iterator[Tuple[int, object]]:
        """Decode frames of the source, without those that damage reaches.

        A decoder conceals damage, and hands it on to the frames that refer to
        a damaged one: nothing is sound until the next key frame. Pictures of
        another shape than the first are left out as well.

        Args:
            begin (int): Number of the first frame; 0 if :attr:`sequential`.
            end (int): Number behind the last one.

        Yields:
            tuple[int, av.VideoFrame]: Number in the source and frame.
        """
        keys = self._key_numbers()
        frames = (
            self._decode_all(end)
            if self.sequential else self.reader.iter_frames(begin, end))
        position = sound_from = begin
        for number, frame in frames:
            if not self._keeps_shape(frame):
                continue
            if number > position:
                next_key = np.searchsorted(keys, number)
                sound_from = keys[next_key] if next_key < len(keys) else end
            position = number + 1
            if number >= sound_from:
                yield number, frame

    def _keeps_shape(self, frame: Any) -> bool:
        display = Display.of(frame, self.index.crop)
        return same_shape(
            display._replace(aspect=self._aspect).shown_size(frame),
            (self.width, self.height))

    def _decode_all(self, end: int) -> Iterator:
        """Numbers and frames in the order of decoding, from the first on."""
        index, next_number = self.index, 0
        # Without times nothing tells how many frames damage has cost.
        errors_from = None
        if not index.has_odd_times and len(index.key_times):
            errors_from = int(index.key_times[0])
        container, stream = open_film(self.path)
        with container:
            packets = checked_packets(film_packets(container, stream), index)
            for frame in decode_sound(
                    FilmDecoder(self.path, stream), packets, errors_from,
                    index.run_up):
                number = next_number
                if not index.has_odd_times:
                    number = index.find(frame.pts)
                if number is None or not next_number <= number < end:
                    continue
                yield number, frame
                next_number = number + 1

    def _key_numbers(self) -> np.ndarray:
        """Numbers of the key frames that are shown, ascending."""
        index = self.index
        if index.has_odd_times:
            return np.zeros(1, np.int64)
        return np.flatnonzero(np.isin(index.times, index.key_times))

    def _read_header(self) -> None:
        container, stream = open_film(self.path)
        with container:
            self.width, self.height = stream.width, stream.height
            self._duration = (container.duration or 0) / av.time_base
            try:
                decoder = FilmDecoder(self.path, stream)
                frame = next(frame
                             for packet in film_packets(container, stream)
                             for frame in decoder.decode(packet))
            except (av.error.FFmpegError, StopIteration):
                return  # said later, when its place is known
            display = Display.of(frame, self.index.crop, stream)
            self._aspect = display.aspect
            self.width, self.height = display.shown_size(frame)

    def _set_rate(self) -> None:
        self.fps = round_rate(self.index.fps)
        if self.fps <= 0:
            raise ValueError(
                f'{self.path!r} does not say its frames per second. Rewrite '
                'it with ' +
                ffmpeg_command('-r FPS -i FILE -c copy OUT.mp4'))
        self.shown = np.arange(self.index.num_frames)
        if self.index.has_variable_rate:
            self.shown = self._resample()

    def _resample(self) -> np.ndarray:
        """Number of the frame shown at m / fps seconds, int64 (M, )."""
        index = self.index
        span = int(index.times[-1] - index.times[0])
        step = 1 / self.fps / index.time_base
        # Whole numbers: in floating point a frame that begins exactly at
        # m / fps would be missed now and then.
        numbers = np.arange(round(span / step) + 1)
        return index.shown_at(numbers * step.numerator // step.denominator)

    def _add_notes(self) -> None:
        index, notes = self.index, self.notes
        if index.has_variable_rate:
            used = len(np.unique(self.shown))
            notes.append(
                f'the variable frame rate became {float(self.fps):.6g} frames '
                'per second: '
                f'{counted(index.num_frames - used, "frame")} left out, '
                f'{self.num_frames - used} repeated')
        if any(index.crop):
            notes.append('left, right, at the top and at the bottom '
                         f'{index.crop} pixels were left out, as the '
                         'container says')
        if self._aspect != 1:
            notes.append(f'pixels of {self._aspect.numerator}:'
                         f'{self._aspect.denominator} were made square')
        if index.has_edit_list:
            notes.append('frames that the edit list hides were left out')
        if index.has_open_gop:
            notes.append('open groups of pictures were resolved')
        if index.num_promised > index.num_frames:
            notes.append(
                f'the last {index.num_promised - index.num_frames} of '
                f'{index.num_promised} frames cannot be decoded')
        seconds = index.seconds
        missing = self._duration - seconds
        most, share = _MOST_MISSING
        if not index.has_odd_times and missing > min(
                most, share * float(self._duration)):
            notes.append(f'the file promises {self._duration:.1f} s, but its '
                         f'pictures end after {seconds:.1f} s')
        if self.sequential:
            notes.append(f'{index.container} was decoded from its beginning, '
                         'by one process')
