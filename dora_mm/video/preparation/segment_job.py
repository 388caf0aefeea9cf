import functools
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.video.file_identity import file_identity
from dora_mm.video.plane_scaler import PlaneScaler
from dora_mm.video.scaled_size import scaled_size
from dora_mm.video.shot_cuts import ChangeMeter, Changes
from .part_store import PartStore
from .prepare_settings import PrepareSettings
from .source_video import Segment, SourceVideo
from .stillness import Stillness, StillnessMeter

_SAMPLE_FRAMES = 30


def open_source(path: str) -> SourceVideo:
    """Open a source, or find the one that this process used last.

    Args:
        path (str): The file.

    Returns:
        SourceVideo: The source.
    """
    return _open(path, tuple(file_identity(path).values()))


@functools.lru_cache(maxsize=1)
def _open(path: str, identity: tuple) -> SourceVideo:
    return SourceVideo(path)


@dataclass(frozen=True)
class SegmentJob:
    """What a process needs to know to prepare a segment.

    Attributes:
        path (str): The source.
        segment (Segment): Which frames.
        settings (PrepareSettings): How.
        store (PartStore): Where to put the result.
    """
    path: str
    segment: Segment
    settings: PrepareSettings
    store: PartStore


def encode_segment(job: SegmentJob,
                   progress: Callable[[int], None] = lambda n: None) -> int:
    """Decode, scale and encode a segment into a part of the store.

    Args:
        job (SegmentJob): The segment.
        progress (Callable): Called with the number of frames done since the
            last call.

    Returns:
        int: Size of the part in bytes.

    Raises:
        OSError: If the part cannot be written, a full disk say.
    """
    source = open_source(job.path)
    path = job.store.path_of(job.segment)
    size = scaled_size(source.width, source.height,
                       job.settings.short_side)
    with atomic_file(path) as file:
        with job.settings.writer(file.temporary, size, source.fps) as writer:
            stillness, changes, undecodable = write_segment(
                source, job.segment, writer, progress)
    job.store.finish(job.segment, stillness, changes, undecodable)
    return path.stat().st_size


def write_segment(
    source: SourceVideo,
    segment: Segment,
    writer,
    progress: Callable[[int], None] = lambda n: None
) -> Tuple[Stillness, Changes, List[Tuple[int, int]]]:
    """Write the frames of a segment.

    Where frames cannot be decoded the one before is repeated; at the
    beginning of a segment, the one after.

    Args:
        source (SourceVideo): The source.
        segment (Segment): Which frames.
        writer (VideoWriter): Takes them.
        progress (Callable): Called with the number of frames done.

    Returns:
        tuple: Stillness and changes of the frames, and the ranges [begin,
        end) of frames of the result that could not be decoded.
    """
    scaler = PlaneScaler(writer.size, writer.FULL_RANGE, source.index.crop)
    stillness, changes = StillnessMeter(), ChangeMeter()
    undecodable: List[Tuple[int, int]] = []
    planes: Optional[Sequence[np.ndarray]] = None
    position, waiting = segment.output[0], 0
    for frame, times in source.iter_shown(segment):
        if times == 0:  # shown too shortly for the constant rate
            continue
        if frame is None:
            undecodable.append((position, position + times))
        else:
            planes = scaler(frame)
        position += times
        if planes is None:
            waiting += times
            continue
        writer.write(planes, times + waiting)
        stillness.add(planes[0], times + waiting)
        changes.add(planes, times + waiting)
        waiting = 0
        progress(times)
    if waiting:
        planes = _grey(writer.size)
        writer.write(planes, waiting)
        stillness.add(planes[0], waiting)
        changes.add(planes, waiting)
    return stillness.result, changes.result, undecodable


def measure_changes(
        path: str,
        segment: Segment,
        progress: Callable[[int], None] = lambda n: None) -> Changes:
    """How much the frames of a segment change, without writing anything.

    Where frames cannot be decoded the one before is repeated; at the
    beginning of a segment they count as frames without a change.

    Args:
        path (str): The video.
        segment (Segment): Which frames.
        progress (Callable): Called with the number of frames done.

    Returns:
        Changes: Of the frames.
    """
    source = open_source(path)
    scaler = PlaneScaler((source.width, source.height), True,
                         source.index.crop)
    meter = ChangeMeter()
    planes, waiting = None, 0
    for frame, times in source.iter_shown(segment):
        waiting += times
        progress(times)
        if frame is not None and times:
            planes = scaler(frame)
        if planes is not None:
            meter.add(planes, waiting)
            waiting = 0
    if waiting:
        meter.add(_grey((source.width, source.height)), waiting)
    return meter.result


def _grey(size: Tuple[int, int]) -> Tuple[np.ndarray, ...]:
    width, height = size
    half = (height // 2, width // 2)
    return tuple(
        np.full(shape, 128, np.uint8)
        for shape in ((height, width), half, half))


def estimate_bytes(path: str, settings: PrepareSettings, folder: Path) -> int:
    """Estimate the size of the result from a second here and there.

    Args:
        path (str): The source.
        settings (PrepareSettings): How it will be prepared.
        folder (Path): Where a small file may be written for a moment.

    Returns:
        int: Bytes.
    """
    source = open_source(path)
    segments = source.segments()
    places = sorted({len(segments) * i // 4 for i in range(4)})
    size = scaled_size(source.width, source.height, settings.short_side)
    num_bytes = num_frames = 0
    for segment in (segments[i] for i in places):
        begin, end = segment.output
        end = min(end, begin + _SAMPLE_FRAMES)
        if end == begin:
            continue
        last = int(source.shown[end - 1]) + 1
        sample = Segment(segment.number, (segment.source[0], last),
                         (begin, end))
        with TemporaryDirectory(dir=folder) as temporary:
            file = Path(temporary) / 'sample.mp4'
            with settings.writer(file, size, source.fps) as writer:
                write_segment(source, sample, writer)
            num_bytes += file.stat().st_size
        num_frames += end - begin
    return num_bytes * source.num_frames // num_frames
