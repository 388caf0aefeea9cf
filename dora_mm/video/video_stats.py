"""What the DoRA paper tells of a video: lightness, shot cuts, objects."""
from typing import Callable, Dict, List, Optional, Sequence

import cv2
import numpy as np

from .preparation.segment_job import measure_changes
from .preparation.source_video import SourceVideo
from .shot_cuts import find_cuts, join_changes
from .video_manifest import VideoManifest


def mean_lightness(frame: np.ndarray) -> float:
    """The mean L of CIE L*a*b*.

    Args:
        frame (np.ndarray): uint8 (H, W, 3), RGB.

    Returns:
        float: In [0, 100].
    """
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(lab[..., 0].mean())


def sample_lightness(samples: np.ndarray) -> np.ndarray:
    """:func:`mean_lightness` of small pictures.

    Args:
        samples (np.ndarray): uint8 (S, rows, columns, 3), Y, U and V of
            BT.601, full range.

    Returns:
        np.ndarray: float64 (S, ), in [0, 100].
    """
    return np.array([
        mean_lightness(
            cv2.cvtColor(
                np.ascontiguousarray(sample[..., [0, 2, 1]]),
                cv2.COLOR_YCrCb2RGB)) for sample in samples
    ])


def sample_video(reader,
                 interval: float,
                 detect: Optional[Callable] = None) -> List[Dict]:
    """Look at what is shown every so many seconds.

    Args:
        reader (VideoReader): Of :func:`build_reader`.
        interval (float): Seconds; less than a frame at the mean rate is taken
            for one.
        detect (callable, optional): A frame to the classes of its objects,
            one for each object.

    Returns:
        list[dict]: ``second``, ``lightness`` and, with ``detect``, ``objects``
        and ``classes``, how many there are.

    Raises:
        ValueError: If ``interval`` is not positive.
    """
    if interval <= 0:
        raise ValueError(f'interval must be positive, but got {interval}')
    interval = max(interval, float(1 / reader.index.fps))
    samples = []
    for place, number in enumerate(reader.index.shown_every(interval)):
        frame = reader.get_frames([number])[0]
        sample = dict(
            second=place * interval, lightness=mean_lightness(frame))
        if detect is not None:
            found = list(detect(frame))
            sample.update(objects=len(found), classes=len(set(found)))
        samples.append(sample)
    return samples


def shot_cuts(path: str) -> List[float]:
    """Where one shot ends and the next begins.

    Those of the manifest, if the video was prepared; all frames are looked at
    otherwise.

    Args:
        path (str | Path): The file.

    Returns:
        list[float]: Seconds.

    Raises:
        ValueError: If the file is no video, or its manifest is malformed.
    """
    manifest = VideoManifest.load(path)
    if manifest is not None and manifest.cuts is not None:
        return [float(cut / manifest.fps) for cut in manifest.cuts]
    source = SourceVideo(str(path))
    values = join_changes([
        measure_changes(str(path), segment) for segment in source.segments()
    ])
    return [float(cut / source.fps) for cut in find_cuts(values)]


def summarise(samples: Sequence[Dict], cuts: Sequence[float],
              seconds: float) -> Dict[str, float]:
    """The video in a few numbers.

    Args:
        samples (Sequence[dict]): Of :func:`sample_video`.
        cuts (Sequence[float]): Of :func:`shot_cuts`.
        seconds (float): Length of the video.

    Returns:
        dict[str, float]: ``seconds``, ``cuts``, ``cuts_per_hour``,
        ``lightness`` and its ``lightness_std``, ``lightness_step``, the mean
        change from one sample to the next, and means of objects and classes
        in a frame where there are any.
    """
    light = np.array([sample['lightness'] for sample in samples])
    steps = np.abs(np.diff(light))
    result = dict(
        seconds=seconds,
        cuts=len(cuts),
        cuts_per_hour=3600 * len(cuts) / seconds,
        lightness=float(light.mean()),
        lightness_std=float(light.std()),
        lightness_step=float(steps.mean()) if len(steps) else 0.)
    for name in ('objects', 'classes'):
        if name in samples[0]:
            result[f'{name}_per_frame'] = float(
                np.mean([sample[name] for sample in samples]))
    return result
