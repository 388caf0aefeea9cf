import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Dict, Optional, Tuple

import numpy as np

from dora_mm.datasets.clip_index import ClipIndex, FileClips
from dora_mm.video import film_dynamics
from dora_mm.video.preparation.measure_film import FilmMeasures, measure_film
from dora_mm.video.video_stats import sample_lightness

_MAX_LAG = 10.  # seconds
# Seconds from one look of novelty to the next; what is nearer is not seen.
_NOVELTY_STEP, _NOVELTY_GAP = 1., 10.


@dataclass
class AuditedVideo:
    """What was found in a video; S samples, about 0.1 s apart.

    Attributes:
        path (str): The video.
        fps (Fraction): Frames per second, once prepared.
        num_frames (int): Of the prepared video.
        size (tuple[int, int]): Width and height of the prepared video, pixels.
        excluded (tuple[tuple[int, int, str], ...]): Stretches [begin, end)
            that training leaves out, and why.
        cuts (tuple[int, ...]): Frames that begin a shot.
        num_bytes (int): Size of the prepared video.
        seconds (np.ndarray): float64 (S, ), times of the samples.
        lightness (np.ndarray): float64 (S, ), mean L* of CIE, 0 to 100.
        motion (np.ndarray): float64 (S, ), widths of the picture a second;
            NaN where it is not known.
        novelty (np.ndarray): float64 (S', ), one a second, from 0 (a picture
            like it was seen 10 seconds before or earlier) to 1; NaN where it
            is not known.
        correlation (np.ndarray): float64 (lags, ), of a picture with the one
            that follows 0, 1, 2, ... samples later; NaN where no stretch is
            long enough.
        half_life (float | None): Seconds in which half of what changes in a
            picture has changed; None if it takes more than 10 s.
    """
    path: str
    fps: Fraction
    num_frames: int
    size: Tuple[int, int]
    excluded: Tuple[Tuple[int, int, str], ...]
    cuts: Tuple[int, ...]
    num_bytes: int
    seconds: np.ndarray
    lightness: np.ndarray
    motion: np.ndarray
    novelty: np.ndarray
    correlation: np.ndarray
    half_life: Optional[float]

    @property
    def sample_seconds(self) -> float:
        """From one sample to the next."""
        return float(self.seconds[1]) if len(self.seconds) > 1 else 0.

    def times_of(self, name: str) -> np.ndarray:
        """When the values of a curve were taken.

        Args:
            name (str): 'lightness', 'motion' or 'novelty'.

        Returns:
            np.ndarray: float64, seconds, as many as there are values.
        """
        every = 1
        if name == 'novelty':
            every = _novelty_samples(self.sample_seconds)
        return self.seconds[::every]

    @property
    def useful_frames(self) -> int:
        """Frames that training does not leave out."""
        return self.num_frames - sum(end - begin
                                     for begin, end, _ in self.excluded)

    def excluded_seconds(self) -> Dict[str, float]:
        """Seconds that are left out, by reason."""
        seconds = dict(blank=0., frozen=0., undecodable=0.)
        for begin, end, reason in self.excluded:
            seconds[reason] += float((end - begin) / self.fps)
        return seconds

    def num_clips(self,
                  interval: float,
                  clip_len: int,
                  start_stride: int = 1) -> int:
        """Clips that :class:`WalkingToursVideoDataset` has of it.

        Args:
            interval (float): Seconds from one frame of a clip to the next.
            clip_len (int): Frames of a clip.
            start_stride (int): Of the data set. Defaults to 1.

        Returns:
            int: None of them across a cut.
        """
        step = max(1, round(float(self.fps) * interval))
        span = (clip_len - 1) * step
        clips = FileClips(
            max(0, self.num_frames - span), tuple(range(0, span + 1, step)),
            tuple(r[:2] for r in self.excluded), self.cuts)
        return len(ClipIndex([clips], start_stride))


def audit_video(path: str, workers: Optional[int] = None) -> AuditedVideo:
    """Look at all frames of a video once.

    Args:
        path (str): The file, prepared or not.
        workers (int, optional): Processes. Defaults to the number of cores.

    Returns:
        AuditedVideo: What was found.

    Raises:
        ValueError: If it is no video.
    """
    film = measure_film(path, workers or os.cpu_count())
    frames = np.arange(len(film.samples)) * film.step
    seconds = frames / float(film.fps)
    return AuditedVideo(
        path=path,
        fps=film.fps,
        num_frames=film.num_frames,
        size=film.size,
        excluded=film.excluded,
        cuts=film.cuts,
        num_bytes=film.bytes,
        seconds=seconds,
        lightness=sample_lightness(film.samples),
        **_dynamics(film, frames, float(film.step / film.fps)))


def _novelty_samples(step: float) -> int:
    """Samples from one look of novelty to the next, of ``step`` seconds."""
    return max(1, round(_NOVELTY_STEP / step)) if step else 1


def _dynamics(film: FilmMeasures, frames: np.ndarray, step: float) -> dict:
    luma = np.ascontiguousarray(film.samples[..., 0])
    stretches = film_dynamics.stretches_of(frames, film.excluded, film.cuts)
    units = film_dynamics.unit_pictures(luma)
    used = stretches >= 0
    correlation = film_dynamics.autocorrelation(units, stretches,
                                                round(_MAX_LAG / step))
    half_life = None
    if used.any():
        unrelated = float(np.square(units[used].mean(0)).sum())
        half_life = film_dynamics.half_life(correlation, unrelated)
    every = _novelty_samples(step)
    return dict(
        motion=film_dynamics.motion(luma, stretches, step),
        novelty=film_dynamics.novelty(units[::every], used[::every],
                                      round(_NOVELTY_GAP / _NOVELTY_STEP)),
        correlation=correlation,
        half_life=None if half_life is None else half_life * step)
