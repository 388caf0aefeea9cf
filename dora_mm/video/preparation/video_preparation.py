import os
import time
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from dora_mm.video.content_identity import content_identity
from dora_mm.video.scaled_size import scaled_size
from dora_mm.video.shot_cuts import Changes, find_cuts, join_changes
from dora_mm.video.video_manifest import VideoManifest
from .assemble_parts import assemble_parts
from .deface_video import deface_video
from .disk_space import DiskSpace
from .finished_video import find_finished
from .part_store import Part, PartStore
from .prepare_settings import PrepareSettings
from .segment_job import (SegmentJob, encode_segment, estimate_bytes,
                          measure_changes)
from .source_video import Segment, SourceVideo
from .stillness import find_excluded
from .verify_video import (check_frames, check_length, counted_frames,
                           sample_numbers, summarize)
from .worker_pool import count_frames

# The estimate is made from a few seconds.
_MARGIN = 1.2


@dataclass(frozen=True)
class PreparedVideo:
    """What became of a video.

    Attributes:
        path (Path): The result.
        status (str): ``'prepared'``, ``'was finished'``, ``'cuts added'``
            (it was finished by a version that did not look for them) or
            ``'parts'``: this job's segments are done, and other jobs have or
            will put the video together.
        manifest (VideoManifest | None): None with ``'parts'``.
        seconds (float): Time it took.
        waits_for (str): What is missing with ``'parts'``.
    """
    path: Path
    status: str
    manifest: Optional[VideoManifest]
    seconds: float
    waits_for: str = ''


def encode_and_count(job: SegmentJob, slot: int) -> int:
    """:func:`encode_segment`, with its progress in a slot of the pool."""
    return encode_segment(job, partial(count_frames, slot))


def measure_and_count(path: str, segment: Segment, slot: int) -> Changes:
    """:func:`measure_changes`, with its progress in a slot of the pool."""
    return measure_changes(path, segment, partial(count_frames, slot))


class VideoPreparation:
    """Prepares one video: segments, the whole, comparison, manifest.

    Args:
        source (str): The original.
        out_dir (Path): Folder of the result, ``<name>.mp4``.
        settings (PrepareSettings): How.
        share (tuple[int, int]): Every n-th segment from number i on, (i, n),
            is this job's.
        overwrite (bool): Whether a result of something else is replaced.
        num_checks (int): Frames to compare with the source.
        slot (int): Place of the video in the pool's counts.
    """

    def __init__(self, source: str, out_dir: Path, settings: PrepareSettings,
                 share: Tuple[int, int], overwrite: bool, num_checks: int,
                 slot: int) -> None:
        self.source_path = source
        self.settings = settings
        self.share = share
        self.overwrite = overwrite
        self.num_checks = num_checks
        self.slot = slot
        self.name = Path(source).stem
        self.path = out_dir / f'{self.name}.mp4'
        #: Frames that this run has to encode; None until that is known.
        self.num_frames: Optional[int] = None
        #: What is being done, for people.
        self.state = 'waiting'

    @cached_property
    def identity(self) -> dict:
        """Of the source, the same on all machines."""
        return content_identity(self.source_path)

    @cached_property
    def store(self) -> PartStore:
        """The finished segments."""
        return PartStore(
            self.path.with_name(f'.{self.name}.parts'),
            dict(source=self.identity, settings=self.settings.to_dict()))

    def run(self, pool: Executor, disk: DiskSpace) -> PreparedVideo:
        """Do all that is missing.

        Args:
            pool (Executor): Of :func:`make_pool`.
            disk (DiskSpace): Of the folder of the result.

        Returns:
            PreparedVideo: What became of it.

        Raises:
            ValueError: If the source is no video, a result of something else
                is in the way, or the comparison fails.
            OSError: If the disk is too small.
            RuntimeError: If a process of the pool was killed.
        """
        start = time.monotonic()
        manifest = find_finished(self.path, self.identity, self.settings,
                                 self.overwrite)
        if manifest is not None and manifest.cuts is not None:
            self.state = 'was finished'
            return PreparedVideo(self.path, self.state, manifest, 0.)
        try:
            if manifest is not None:
                manifest = self._add_cuts(manifest, pool)
                self.state = 'cuts added'
                return PreparedVideo(self.path, self.state, manifest,
                                     time.monotonic() - start)
            manifest, waits_for = self._prepare(pool, disk)
        except FileNotFoundError:
            # The same command, started twice: the other process has put the
            # parts together and removed them.
            manifest, waits_for = self._made_by_another(), ''
            if manifest is None:
                raise
        except ValueError:
            self.store.remove_if_empty()
            raise
        except BrokenProcessPool as error:
            raise RuntimeError(
                'a worker process was killed, for lack of memory perhaps. Use '
                'fewer --workers; the same command goes on where it '
                'stopped') from error
        finally:
            disk.release(self.name)
        self.state = 'parts' if manifest is None else 'prepared'
        return PreparedVideo(self.path, self.state, manifest,
                             time.monotonic() - start, waits_for)

    def _prepare(self, pool: Executor,
                 disk: DiskSpace) -> Tuple[Optional[VideoManifest], str]:
        self.store.folder.mkdir(parents=True, exist_ok=True)
        path = self.source_path
        if self.settings.deface:
            self.state = 'blurring faces'
            path = deface_video(path, self.store.folder)
        self.state = 'reading the index'
        source = SourceVideo(path)
        segments = source.segments()
        self.store.remove_others(segments)
        self._encode(source, segments, pool, disk)
        missing = self._load(segments).count(None)
        if missing:
            manifest = self._made_by_another()
            if manifest is not None:
                return manifest, ''
            self.store.remove_if_empty()
            return None, (f'{missing} of {len(segments)} segments, which '
                          'other jobs encode')
        # Only now: whoever has the lock has seen all parts and goes on, so
        # the others may leave.
        with self.store.lock() as mine:
            if not mine:
                return None, (
                    'another process to put it together; if that was killed, '
                    f'remove {str(self.store.lock_path)!r} and try again')
            parts = self._load(segments)
            if None in parts:  # somebody has put them together and removed
                return self._made_by_another(), 'another process'
            return self._finish(source, parts, pool), ''

    def _made_by_another(self) -> Optional[VideoManifest]:
        """Of the result that is wanted, if it is there by now.

        The other process has removed the parts; not those that this one has
        written since.
        """
        manifest = find_finished(self.path, self.identity, self.settings,
                                 overwrite=True)
        if manifest is not None:
            self.store.remove()
        return manifest

    def _add_cuts(self, manifest: VideoManifest,
                  pool: Executor) -> VideoManifest:
        """Look at the finished video for what its manifest lacks."""
        self.state = 'looking for cuts'
        self.num_frames = manifest.num_frames
        path = str(self.path)
        jobs = [
            pool.submit(measure_and_count, path, segment, self.slot)
            for segment in SourceVideo(path).segments()
        ]
        values = join_changes([job.result() for job in jobs])
        manifest = replace(manifest, cuts=find_cuts(values))
        manifest.save(self.path)
        return manifest

    def _load(self, segments: Sequence[Segment]) -> List[Optional[Part]]:
        return [self.store.load(segment) for segment in segments]

    def _encode(self, source: SourceVideo, segments: Sequence[Segment],
                pool: Executor, disk: DiskSpace) -> None:
        """Encode this job's segments that are missing."""
        first, step = self.share
        missing = [
            segment for segment in segments[first::step]
            if self.store.load(segment) is None
        ]
        num_missing = sum(s.output[1] - s.output[0] for s in missing)
        self.num_frames = num_missing
        if not missing:
            return
        self.state = 'encoding'
        size = pool.submit(estimate_bytes, source.path, self.settings,
                           self.store.folder).result()
        # The parts, and the whole beside them.
        disk.reserve(
            self.name,
            ceil(_MARGIN * size * (1 + num_missing / source.num_frames)))
        jobs = [
            pool.submit(
                encode_and_count,
                SegmentJob(source.path, segment, self.settings, self.store),
                self.slot) for segment in missing
        ]
        try:
            for job in as_completed(jobs):
                disk.wrote(self.name, job.result())
        finally:
            for job in jobs:
                job.cancel()

    def _finish(self, source: SourceVideo, parts: List[Part],
                pool: Executor) -> VideoManifest:
        """Put the video together, compare it, and move it to its place."""
        self.state = 'putting together'
        whole = self.store.folder / 'whole.mp4'
        assemble_parts([part.path for part in parts], whole, source.fps)
        undecodable = [r for part in parts for r in part.undecodable]
        self.state = 'comparing'
        verified = self._verify(source, whole, undecodable, pool)
        manifest = self._manifest(source, whole, parts, undecodable, verified)
        # A manifest without its video is nothing, a video without its
        # manifest would pass for an original.
        manifest.save(self.path)
        os.replace(whole, self.path)
        self.store.remove()
        return manifest

    def _verify(self, source: SourceVideo, whole: Path,
                undecodable: List[Tuple[int, int]], pool: Executor) -> dict:
        lost = sum(end - begin for begin, end in undecodable)
        if 2 * lost > source.num_frames:
            apart = ''
            if source.index.has_odd_times:  # nothing behind damage counts
                apart = ', prepare the recordings that it was joined of apart'
            raise ValueError(
                f'{lost} of {source.num_frames} frames of {source.path!r} '
                f'cannot be decoded: download it again{apart} or leave it out')
        counted = counted_frames(source)
        numbers = sample_numbers(source.num_frames, undecodable,
                                 self.num_checks, self.settings.digest,
                                 counted)
        early = [n for n in numbers if source.shown[n] + 2 <= counted]
        groups = [early] + [[n] for n in numbers if n not in early]
        if source.sequential or len(early) == len(numbers):
            groups = [numbers]
        try:
            duration = check_length(whole, source.num_frames, source.fps)
            jobs = [
                pool.submit(check_frames, source.path, whole, self.settings,
                            group) for group in groups
            ]
            checks = [check for job in jobs for check in job.result()]
            return summarize(checks, duration)
        except ValueError as error:
            raise ValueError(
                f'the prepared video does not match {self.source_path!r}: '
                f'{error}. Nothing was removed: see {str(whole)!r}. To start '
                f'afresh, remove {str(self.store.folder)!r}') from error

    def _manifest(self, source: SourceVideo, whole: Path, parts: List[Part],
                  undecodable: List[Tuple[int, int]],
                  verified: dict) -> VideoManifest:
        excluded = find_excluded([part.stillness for part in parts],
                                 undecodable, source.fps)
        width, height = scaled_size(source.width, source.height,
                                    self.settings.short_side)
        notes = list(source.notes)
        if self.settings.deface:
            notes.insert(0, 'faces were blurred by deface')
        return VideoManifest(
            source=dict(self.identity, **source.describe()),
            settings=self.settings.to_dict(),
            settings_hash=self.settings.digest,
            fps=source.fps,
            num_frames=source.num_frames,
            width=width,
            height=height,
            bytes=whole.stat().st_size,
            excluded=excluded,
            cuts=find_cuts(join_changes([part.changes for part in parts])),
            notes=tuple(notes),
            verified=verified)
