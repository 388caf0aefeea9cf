from concurrent.futures import wait
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from dora_mm.video.scaled_size import scaled_size
from dora_mm.video.shot_cuts import Changes, find_cuts, join_changes
from dora_mm.video.video_manifest import VideoManifest
from .prepare_settings import PrepareSettings
from .reports import ProgressReport
from .segment_job import open_source, write_segment
from .source_video import Segment, SourceVideo
from .stillness import Stillness, add_undecodable, find_excluded
from .worker_pool import count_frames, make_pool
from .writers import MJPEGWriter

# Rows and columns of a sample, and seconds from one to the next.
SAMPLE_GRID = (18, 32)
SAMPLE_SECONDS = 0.1


@dataclass
class FilmMeasures:
    """What one pass over a video finds; N frames, S samples.

    Attributes:
        path (str): The video.
        fps (Fraction): Frames per second of the prepared video.
        num_frames (int): N, of the prepared video.
        size (tuple[int, int]): Width and height of the prepared video, pixels.
        excluded (tuple[tuple[int, int, str], ...]): Stretches that training
            leaves out, as in :class:`VideoManifest`.
        cuts (tuple[int, ...]): Frames that begin a shot, ascending.
        step (int): Frames from one sample to the next.
        samples (np.ndarray): uint8 (S, 18, 32, 3), every ``step``-th frame in
            small: Y, U and V of the full range.
        bytes (int): Size of the prepared video, JPEGs; estimated from a frame
            a second if the video is not prepared.
    """
    path: str
    fps: Fraction
    num_frames: int
    size: Tuple[int, int]
    excluded: Tuple[Tuple[int, int, str], ...]
    cuts: Tuple[int, ...]
    step: int
    samples: np.ndarray
    bytes: int


class FilmSampler:
    """Takes frames as a writer of videos does, and keeps some of them small.

    Args:
        size (tuple[int, int]): Width and height of the frames in pixels.
        first (int): Number of the first frame.
        step (int): Frames whose number is a multiple of it are kept.
        jpeg_step (int): The same for those whose size as a JPEG is measured.
    """

    FULL_RANGE = MJPEGWriter.FULL_RANGE

    def __init__(self, size: Tuple[int, int], first: int, step: int,
                 jpeg_step: int) -> None:
        self.size = size
        self.samples: List[np.ndarray] = []
        self.jpeg_bytes: List[int] = []
        self._next = first
        self._step = step
        self._jpeg_step = jpeg_step

    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """Look at a picture.

        Args:
            planes (Sequence[np.ndarray]): Y, U and V in 4:2:0, each uint8
                (rows, columns), of full range.
            times (int): How many frames show it. Defaults to 1.
        """
        begin, self._next = self._next, self._next + times
        kept = _multiples(begin, self._next, self._step)
        if kept:
            small = np.dstack([
                cv2.resize(
                    plane, SAMPLE_GRID[::-1], interpolation=cv2.INTER_AREA)
                for plane in planes
            ])
            self.samples += [small] * kept
        if _multiples(begin, self._next, self._jpeg_step):
            self.jpeg_bytes.append(len(MJPEGWriter.encode(planes)))


def _multiples(begin: int, end: int, step: int) -> int:
    """How many multiples of a step lie in [begin, end)."""
    return (end - 1) // step - (begin - 1) // step


class _Part(NamedTuple):
    stillness: Stillness
    changes: Changes
    undecodable: List[Tuple[int, int]]
    samples: List[np.ndarray]
    jpeg_bytes: List[int]


def _measure_segment(path: str, segment: Segment, size: Tuple[int, int],
                     steps: Tuple[int, int]) -> _Part:
    sampler = FilmSampler(size, segment.output[0], *steps)
    found = write_segment(
        open_source(path), segment, sampler, partial(count_frames, 0))
    return _Part(*found, sampler.samples, sampler.jpeg_bytes)


@dataclass
class _Looking:
    """What :class:`ProgressReport` wants to know."""
    name: str
    num_frames: int
    state: str = 'looking'


def measure_film(path: str, workers: int = 1) -> FilmMeasures:
    """Look at all frames of a video once, as its preparation does.

    Args:
        path (str): The video, prepared or not. Of a prepared one, what its
            manifest says is left out and cut is taken from there.
        workers (int): Processes. Defaults to 1, this one.

    Returns:
        FilmMeasures: What was found.

    Raises:
        ValueError: If the file is no video, or its manifest is malformed.
    """
    source = SourceVideo(path)
    size = scaled_size(source.width, source.height, PrepareSettings.short_side)
    step = max(1, round(SAMPLE_SECONDS * source.fps))
    segments = source.segments()
    pool, counts = make_pool(workers, 1)
    film = _Looking(Path(path).name, source.num_frames)
    with pool, ProgressReport([film], counts) as report:
        waiting = [
            pool.submit(_measure_segment, path, segment, size,
                        (step, round(source.fps) or 1))
            for segment in segments
        ]
        while wait(waiting, timeout=0.5).not_done:
            report.update()
    parts = [job.result() for job in waiting]
    return _join(source, size, step, parts, VideoManifest.load(path))


def _join(source: SourceVideo, size: Tuple[int, int], step: int,
          parts: List[_Part],
          manifest: Optional[VideoManifest]) -> FilmMeasures:
    undecodable = [r for part in parts for r in part.undecodable]
    excluded = find_excluded([part.stillness for part in parts], undecodable,
                             source.fps)
    cuts = find_cuts(join_changes([part.changes for part in parts]))
    jpegs = [size for part in parts for size in part.jpeg_bytes]
    num_bytes = round(np.mean(jpegs) * source.num_frames)
    if manifest is not None:
        excluded = add_undecodable(manifest.excluded, undecodable,
                                   source.num_frames)
        num_bytes = manifest.bytes
        cuts = cuts if manifest.cuts is None else manifest.cuts
    return FilmMeasures(
        path=source.path,
        fps=source.fps,
        num_frames=source.num_frames,
        size=size,
        excluded=excluded,
        cuts=cuts,
        step=step,
        samples=np.array([s for part in parts for s in part.samples]),
        bytes=num_bytes)
