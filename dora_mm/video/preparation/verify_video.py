from fractions import Fraction
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple

import av
import numpy as np

from dora_mm.utils.counted import counted
from dora_mm.video.plane_scaler import PlaneScaler, planes_of
from dora_mm.video.readers.film_decoder import FilmDecoder
from dora_mm.video.readers.open_film import film_packets, open_film
from dora_mm.video.scaled_size import scaled_size
from .prepare_settings import PrepareSettings
from .segment_job import open_source
from .source_video import SourceVideo

# Below this a picture is another one, or spoilt. JPEG at quality 90 and x264
# at crf 20 keep real video above 35 dB, white noise above 30.
_MIN_PSNR = 27.
_MAX_PSNR = 99.  # of equal pictures
# Of the film, from the first frame on: 120 frames of 4K, all of small files.
# The check of an index has counted more.
_COUNTED_PIXELS = 1e9
# A neighbour that differs from the right picture by less than this many times
# the coding error cannot be told from it.
_TELLING = 4.


class FrameCheck(NamedTuple):
    """A frame of the result compared with the source.

    Attributes:
        number (int): Frame number in the result.
        psnr (float): dB, over luma.
        best (int): By how many frames of the source the best match is off.
        told (bool): Whether neighbours differ enough to be told apart.
    """
    number: int
    psnr: float
    best: int
    told: bool


def check_frames(source_path: str, path: Path, settings: PrepareSettings,
                 numbers: Sequence[int]) -> List[FrameCheck]:
    """Compare frames of the result with the source, decoded anew.

    Args:
        source_path (str): The source.
        path (Path): The result.
        settings (PrepareSettings): What it was prepared with.
        numbers (Sequence[int]): Frames of the result, ascending.

    Returns:
        list[FrameCheck]: Of each number.

    Raises:
        ValueError: If a frame is missing in either file.
    """
    source = open_source(source_path)
    size = scaled_size(source.width, source.height, settings.short_side)
    scaler = PlaneScaler(size, settings.writer.FULL_RANGE, source.index.crop)
    checks = []
    for number, around in _frames_around(source, numbers, scaler):
        if 0 not in around:
            raise ValueError(f'frame {source.shown[number]} of the source, '
                             'which was decoded before, cannot be decoded now')
        stored = _stored_luma(path, number, source.fps)
        checks.append(_compare(number, stored, around))
    return checks


def _frames_around(source: SourceVideo, numbers: Sequence[int],
                   scaler: PlaneScaler) -> Iterator[Tuple[int, dict]]:
    """For each number the luma of its source frame and of the neighbours."""
    last = source.index.num_frames
    ranges = [(max(0, n - 1), min(last, n + 2))
              for n in source.shown[list(numbers)].tolist()]
    limit = last if source.sequential else counted_frames(source)
    wanted = {n for r in ranges if r[1] <= limit for n in range(*r)}
    counted = count_frames(source.path, wanted, scaler)
    if source.sequential and wanted - counted.keys():
        counted = {  # damage has stopped the count
            n: scaler(frame)[0]
            for n, frame in source.sound_frames(0, last) if n in wanted
        }
    for number, (begin, end) in zip(numbers, ranges):
        lumas = counted
        missing = set(range(begin, end)) - counted.keys()
        if missing and not source.sequential:
            lumas = {
                n: scaler(frame)[0]
                for n, frame in source.sound_frames(begin, end)
            }
        shown = int(source.shown[number])
        yield number, {
            n - shown: lumas[n]
            for n in range(begin, end) if n in lumas
        }


def counted_frames(source: SourceVideo) -> int:
    """So many frames of a source are counted from its first one on."""
    pixels = source.width * source.height
    return min(source.index.num_frames, int(_COUNTED_PIXELS / pixels))


def count_frames(path: str, wanted: Set[int],
                 scaler: PlaneScaler) -> Dict[int, np.ndarray]:
    """Luma of frames counted as they come out of the decoder.

    By one pass from the first frame to the last one wanted, or to damage,
    without the index that the preparation went by.

    Args:
        path (str): The source.
        wanted (set[int]): Numbers of frames.
        scaler (PlaneScaler): Makes planes of them.

    Returns:
        dict[int, np.ndarray]: By number, those that were reached.
    """
    lumas: Dict[int, np.ndarray] = {}
    if not wanted:
        return lumas
    container, stream = open_film(path)
    with container:
        try:
            decoder = FilmDecoder(path, stream)
            frames = (
                frame for packet in film_packets(container, stream)
                for frame in decoder.decode(packet))
            for number, frame in enumerate(frames):
                if frame.is_corrupt or number > max(wanted):
                    break
                if number in wanted:
                    lumas[number] = scaler(frame)[0]
        except av.error.FFmpegError:
            pass
    return lumas


def _stored_luma(path: Path, number: int, fps: Fraction) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        pts = round(number / fps / stream.time_base)
        container.seek(pts, stream=stream)
        for frame in container.decode(stream):
            if frame.pts >= pts:
                break
        if frame.pts != pts:
            raise ValueError(f'frame {number} of {str(path)!r} is missing')
        return planes_of(frame)[0]


def _compare(number: int, stored: np.ndarray, around: dict) -> FrameCheck:
    errors = {offset: _error(luma, stored) for offset, luma in around.items()}
    best = min(errors, key=errors.get)
    distances = {
        offset: _error(luma, around[0])
        for offset, luma in around.items()
    }
    told = max(distances.values()) > _TELLING * errors[best]
    if distances[best] <= _TELLING * errors[best]:
        best = 0
    return FrameCheck(number, _psnr(errors[0]), best, told)


def _error(a: np.ndarray, b: np.ndarray) -> float:
    difference = a.astype(np.float32) - b
    return float(np.mean(difference * difference))


def _psnr(error: float) -> float:
    if error == 0:
        return _MAX_PSNR
    return min(_MAX_PSNR, float(10 * np.log10(255**2 / error)))


def sample_numbers(num_frames: int,
                   undecodable: Sequence[Tuple[int, int]],
                   count: int,
                   digest: str,
                   counted: int = 0) -> List[int]:
    """Frames to compare, the same ones for the same source and settings.

    Args:
        num_frames (int): Of the result.
        undecodable (Sequence[tuple[int, int]]): Ranges without a counterpart
            in the source.
        count (int): How many frames at most.
        digest (str): Hexadecimal number that seeds the choice.
        counted (int): Half of the frames are among the first so many.
            Defaults to 0, none.

    Returns:
        list[int]: Ascending.
    """
    sound = np.ones(num_frames, bool)
    for begin, end in undecodable:
        sound[begin:end] = False
    candidates = np.flatnonzero(sound)
    rng = np.random.default_rng(int(digest, 16))
    early = candidates[candidates < counted]
    chosen = rng.choice(early, min(count // 2, len(early)), replace=False)
    others = np.setdiff1d(candidates, chosen)
    rest = min(count - len(chosen), len(others))
    chosen = [*chosen, *rng.choice(others, rest, replace=False)]
    return sorted(map(int, chosen))


def check_length(path: Path, num_frames: int, fps: Fraction) -> float:
    """Check number of frames and duration of the result.

    Args:
        path (Path): The result.
        num_frames (int): Frames that it should have.
        fps (Fraction): Frames per second that it should have.

    Returns:
        float: Duration in seconds.

    Raises:
        ValueError: If either differs.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = len(stream.index_entries)
        duration = stream.duration * stream.time_base
    if found != num_frames:
        raise ValueError(f'it has {counted(found, "frame")} instead of '
                         f'{num_frames}')
    if duration != num_frames / fps:
        raise ValueError(f'it lasts {float(duration):.6f} s instead of '
                         f'{float(num_frames / fps):.6f} s')
    return float(duration)


def summarize(checks: Sequence[FrameCheck], duration: float) -> dict:
    """Judge the comparison.

    Args:
        checks (Sequence[FrameCheck]): Of the sampled frames.
        duration (float): Of the result in seconds.

    Returns:
        dict: Figures for the manifest.

    Raises:
        ValueError: If a frame is not the right one. The message names the
            frames.
    """
    wrong = [
        f'frame {c.number} matches the source {abs(c.best)} frame '
        f'{"later" if c.best > 0 else "earlier"} better' for c in checks
        if c.best
    ]
    wrong += [
        f'frame {c.number} has {c.psnr:.1f} dB, below {_MIN_PSNR:g}'
        for c in checks if c.psnr < _MIN_PSNR and not c.best
    ]
    if wrong:
        raise ValueError(f'{len(wrong)} of {len(checks)} sampled frames '
                         f'differ: {"; ".join(wrong[:5])}')
    psnr = [c.psnr for c in checks]
    return dict(
        duration=round(duration, 6),
        frames=len(checks),
        compared=[c.number for c in checks],
        told_from_neighbours=sum(c.told for c in checks),
        psnr_min=round(min(psnr), 2) if psnr else None,
        psnr_mean=round(sum(psnr) / len(psnr), 2) if psnr else None)
