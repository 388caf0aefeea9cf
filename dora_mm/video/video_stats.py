"""What the DoRA paper tells of a video: lightness, shot cuts, objects."""
from typing import Callable, Dict, List, Optional, Sequence

import cv2
import numpy as np


def mean_lightness(frame: np.ndarray) -> float:
    """The mean L of CIE L*a*b*.

    Args:
        frame (np.ndarray): uint8 (H, W, 3), RGB.

    Returns:
        float: In [0, 100].
    """
    lab = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(lab[..., 0].mean())


def sample_video(reader,
                 interval: float,
                 detect: Optional[Callable] = None) -> List[Dict]:
    """Look at a frame every so many seconds.

    Args:
        reader (VideoReader): Of :func:`build_reader`.
        interval (float): Seconds.
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
    step = max(round(interval * reader.fps), 1)
    samples = []
    for number in range(0, reader.num_frames, step):
        frame = reader.get_frames([number])[0]
        sample = dict(
            second=number / reader.fps, lightness=mean_lightness(frame))
        if detect is not None:
            found = list(detect(frame))
            sample.update(objects=len(found), classes=len(set(found)))
        samples.append(sample)
    return samples


def shot_cuts(path: str, threshold: float = 27.) -> List[float]:
    """Where one shot ends and the next begins, by PySceneDetect.

    Args:
        path (str | Path): The file.
        threshold (float): Of its ContentDetector. Defaults to 27, its own.

    Returns:
        list[float]: Seconds.

    Raises:
        ImportError: If PySceneDetect is not installed.
    """
    try:
        from scenedetect import ContentDetector, detect
    except ImportError as error:
        raise ImportError('shot cuts need PySceneDetect; run: pip install '
                          'scenedetect') from error
    scenes = detect(str(path), ContentDetector(threshold))
    return [float(start.seconds) for start, _ in scenes[1:]]


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
