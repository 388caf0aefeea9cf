from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Optional

import numpy as np

from dora_mm.video.display import NO_CROP, Crop
from .mean_rate import mean_rate


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """Where the frames of a file are: what exact random access needs.

    Frames are numbered as they are shown: frame ``n`` is the one with the
    ``n``-th presentation time. Frames that an edit list hides, and frames
    that cannot be decoded at the beginning or the end, are not counted.

    Letters: N frames, M key frames, P packets.

    Attributes:
        codec (str): Name of the codec as FFmpeg spells it, e.g. ``'h264'``.
        container (str): Name of the container likewise, e.g. ``'mpegts'``.
        stated_fps (Fraction): Frames per second as the container states
            them, see :attr:`fps`.
        times (np.ndarray): int64 (N, ), presentation times, ascending, in
            units of ``time_base``.
        time_base (Fraction): Seconds.
        key_times (np.ndarray): int64 (M, ), those of the key frames, hidden
            ones included.
        positions (np.ndarray): int64 (N, ), offset of each frame in the file
            in bytes if every frame is a JPEG; else (0, ).
        sizes (np.ndarray): int64, likewise: length in bytes.
        packet_sums (np.ndarray): uint32 (P, ), checksums of the packets from
            the first key frame on, as they are stored, hidden ones included;
            of one that was damaged already, a number that does not fit. (0, )
            if every frame is a JPEG that holds its own.
        key_packets (np.ndarray): int64 (M, ), which of them is each key
            frame; (0, ) likewise.
        header_sum (int): Checksum of what the container says of the stream.
        num_promised (int): Frames that the container promises; above N if
            some at the end cannot be decoded.
        num_cut (int): Frames missing at the end of a truncated file whose
            index comes first; 0 for any other file.
        has_edit_list (bool): Some frames are hidden by an edit list.
        has_open_gop (bool): Frames shown before a key frame need the group
            of pictures before it, though they are stored behind it.
        has_odd_times (bool): Presentation times are missing, not unique, not
            those of the frames that come out of the decoder, or begin anew
            where recordings lie one behind the other.
        crop (Crop): Pixels of stored pictures that the container leaves out.
        width (int): Of the pictures as they are shown, in pixels; 0 if that
            is not known.
        height (int): Likewise.
        run_up (int): By how many key frames earlier than the one before a
            frame decoding must start.
        fault (str): What was found wrong when frames were sought; empty if
            nothing was.
    """
    codec: str
    container: str
    stated_fps: Fraction
    times: np.ndarray
    time_base: Fraction
    key_times: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray
    packet_sums: np.ndarray
    key_packets: np.ndarray
    header_sum: int
    num_promised: int
    num_cut: int = 0
    has_edit_list: bool = False
    has_open_gop: bool = False
    has_odd_times: bool = False
    crop: Crop = NO_CROP
    width: int = 0
    height: int = 0
    run_up: int = 0
    fault: str = ''

    @property
    def num_frames(self) -> int:
        """N."""
        return len(self.times)

    @cached_property
    def fps(self) -> Fraction:
        """Frames per second, see :func:`mean_rate`; odd times say nothing of
        it."""
        if self.has_odd_times:
            return self.stated_fps
        return mean_rate(self.stated_fps, self.times, self.time_base)

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last one, which is shown as
        long as others."""
        last = self.seconds_of(self.num_frames - 1)
        return float(last + 1 / float(self.fps))

    @cached_property
    def has_variable_rate(self) -> bool:
        """Whether a frame is off its place at a constant rate.

        By more than one and a half frames: times rounded to milliseconds or
        a frame lost once an hour do not count. Odd times say nothing of it.
        """
        if self.has_odd_times or self.num_frames < 3:
            return False
        times = self.times - self.times[0]
        even = np.linspace(0, times[-1], len(times))
        gap = times[-1] / (len(times) - 1)
        return bool(np.abs(times - even).max() > 1.5 * gap)

    @property
    def seekable(self) -> bool:
        """Whether a seek finds the same frames as decoding from the start.

        MPEG-TS has no index and repeats its times, and times that are
        missing or not unique do not tell one frame from another.
        """
        return (not self.has_odd_times and not self.fault
                and self.container != 'mpegts')

    def shown_at(self, ticks: np.ndarray) -> np.ndarray:
        """Numbers of the frames that are shown at some moments.

        Args:
            ticks (np.ndarray): int64 (M, ), from the first frame on, in units
                of ``time_base``; not below 0.

        Returns:
            np.ndarray: int64 (M, ).
        """
        times = self.times - self.times[0]
        return np.searchsorted(times, ticks, side='right') - 1

    def seconds_of(self, numbers: np.ndarray) -> np.ndarray:
        """When frames are shown; at the mean rate where times are odd.

        Args:
            numbers (np.ndarray): int (M, ), of frames.

        Returns:
            np.ndarray: float64 (M, ), seconds from the first frame on.
        """
        if self.has_odd_times:
            return numbers / float(self.fps)
        ticks = self.times[numbers] - self.times[0]
        return ticks * self.time_base.numerator / self.time_base.denominator

    def shown_every(self, interval: float) -> np.ndarray:
        """Numbers of the frames that are shown every so many seconds.

        Args:
            interval (float): Seconds, above 0.

        Returns:
            np.ndarray: int64 (M, ), at 0, ``interval``, 2 ``interval`` and so
            on from the first frame to the end of the last.
        """
        # What is shown at a moment has begun, but for what its time is off:
        # containers round, to milliseconds for one. A rounding error more.
        off = min(float(self.time_base) / 2, 0.1 / float(self.fps)) + 1e-9
        moments = np.arange(0, self.seconds - off, interval)
        begins = self.seconds_of(np.arange(self.num_frames))
        return np.searchsorted(begins, moments + off, side='right') - 1

    def key_number(self, time: int) -> int:
        """Number of the key frame from which a time can be decoded.

        Args:
            time (int): Presentation time of a frame.

        Returns:
            int: In [0, M).
        """
        number = np.searchsorted(self.key_times, time, side='right') - 1
        return max(0, int(number))

    def is_key(self, time: Optional[int]) -> bool:
        """Whether a key frame has a presentation time.

        Args:
            time (int, optional): Presentation time.
        """
        if time is None or not len(self.key_times):
            return False
        return int(self.key_times[self.key_number(time)]) == time

    def find(self, time: Optional[int]) -> Optional[int]:
        """Number of the frame with a presentation time, None if none has.

        Args:
            time (int, optional): Presentation time.

        Returns:
            int | None: In [0, N).
        """
        if time is None:
            return None
        number = int(np.searchsorted(self.times, time))
        if number < self.num_frames and self.times[number] == time:
            return number
        return None
