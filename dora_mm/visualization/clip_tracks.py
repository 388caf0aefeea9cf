"""From a video and a model to the tracks of a clip.

Letters: T frames, K objects, H heads, N patches, S side in pixels.
"""
import logging
from pathlib import Path
from typing import (Any, Dict, Iterator, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from dora_mm.utils.counted import counted
from dora_mm.video.readers import build_reader
from dora_mm.video.video_manifest import VideoManifest


class Clip(NamedTuple):
    """Some frames of a video."""
    frames: np.ndarray  # (T, H, W, 3), uint8, RGB
    indices: np.ndarray  # (T,), frame numbers in the file
    seconds: np.ndarray  # (T,), when they are shown, from the film's first


def clip_settings(cfg: Config) -> Dict[str, Any]:
    """Which clips a config trains with.

    Args:
        cfg (Config): Config of a run.

    Returns:
        dict: ``clip_len`` (frames), ``frame_interval`` (seconds) or
        ``frame_stride`` (frames), the other one None, and ``across_cuts``.
    """
    data = cfg.get('train_dataloader', {}).get('dataset', {})
    return dict(
        clip_len=data.get('clip_len', 8),
        frame_interval=data.get('frame_interval'),
        frame_stride=data.get('frame_stride'),
        across_cuts=data.get('across_cuts', False))


def read_clips(video: Union[str, Path],
               num_clips: int,
               start: float = 0.,
               clip_len: int = 8,
               frame_interval: Optional[float] = None,
               frame_stride: Optional[int] = None,
               square: bool = True,
               as_trained: bool = False,
               across_cuts: bool = False,
               shorter: str = 'use a longer video') -> Iterator[Clip]:
    """Read clips that follow one another from a video.

    Args:
        video (str | Path): The file.
        num_clips (int): How many clips; of a video that has fewer all, with a
            warning.
        start (float): Second at which the first one begins. Defaults to 0.
        clip_len (int): Frames in a clip, T. Defaults to 8.
        frame_interval (float, optional): Seconds between frames, as many
            frames as the mean rate makes of them. Defaults to 1 without
            ``frame_stride``.
        frame_stride (int, optional): Frames from one frame to the next.
        square (bool): Take the largest central square of each frame. Defaults
            to True.
        as_trained (bool): Leave out clips of a prepared video that reach
            over a shot cut or into a stretch that training leaves out.
            Defaults to False.
        across_cuts (bool): Training takes clips that reach over a cut, so
            ``as_trained`` keeps them. Defaults to False.
        shorter (str): What to do, for the error, where not one clip fits.

    Yields:
        Clip: One clip at a time.

    Raises:
        ValueError: If the file is missing or shorter than one clip, or a
            number is out of range.
    """
    if not Path(video).is_file():
        raise ValueError(
            f'video must be a file, but {video} is not a file: check the path')
    if num_clips < 1 or not start >= 0 or clip_len < 1:
        raise ValueError(
            'num_clips and clip_len must be at least 1 and start at least 0, '
            f'but got {num_clips}, {clip_len} and {start}: change them')
    reader = build_reader(str(video))
    try:
        fps, index = reader.fps, reader.index
        if frame_interval is None and frame_stride is None:
            frame_interval = 1.
        step = frame_stride
        if frame_interval is not None:
            step = round(fps * frame_interval)
        if step < 1:
            raise ValueError(
                f'frame_interval must be at least a frame of {video} '
                f'({fps:g} frames per second), but got {frame_interval} '
                'seconds, less than half a frame: make it longer')
        seconds = index.seconds_of(np.arange(index.num_frames))
        first = int(np.searchsorted(seconds, start - 0.5 / fps))
        breaks = _breaks(video, across_cuts) if as_trained else []
        span = (clip_len - 1) * step
        starts = _find_starts(first, num_clips, span, step, breaks,
                              reader.num_frames)
        wanted = (f'of {counted(clip_len, "frame")}, {step} apart, from frame '
                  f'{first} on')
        if not starts:
            frames = (reader.num_frames - 1 - first) // step + 1
            remedy = f'{frames} of a clip fit: {shorter}'
            if breaks:
                remedy = f'cuts and excluded stretches aside: {shorter}'
            elif frames < 1:
                remedy = 'lower --start (start)'
            raise ValueError(
                f'{video} has {counted(reader.num_frames, "frame")}, but a '
                f'clip {wanted} needs {first + span + 1}: {remedy}')
        if len(starts) < num_clips:
            print_log(
                f'{video} has {counted(len(starts), "clip")} {wanted}: so '
                f'many are taken, not num_clips={num_clips}',
                logger='current',
                level=logging.WARNING)
        for begin in starts:
            indices = begin + np.arange(clip_len) * step
            frames = reader.get_frames(indices)
            if square:
                frames = _central_square(frames)
            yield Clip(frames, indices, seconds[indices])
    finally:
        reader.close()


def _breaks(video: Union[str, Path],
            across_cuts: bool) -> List[Tuple[int, int]]:
    """Stretches [begin, end) that no clip may reach into; a cut is one
    without frames, which a clip may not reach over."""
    manifest = VideoManifest.load(video)
    if manifest is None:
        return []
    cuts = () if across_cuts else manifest.cuts or ()
    return [(cut, cut) for cut in cuts] + [
        (begin, end) for begin, end, _ in manifest.excluded
    ]


def _find_starts(first: int, num_clips: int, span: int, step: int,
                 breaks: Sequence[Tuple[int, int]],
                 num_frames: int) -> List[int]:
    """First frames of as many clips as fit, one behind the other."""
    starts: List[int] = []
    while len(starts) < num_clips and first + span < num_frames:
        ends = [
            end for begin, end in breaks
            if begin <= first + span and first < end
        ]
        if ends:
            first = max(ends)
        else:
            starts.append(first)
            first += span + step
    return starts


def _central_square(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[:, top:top + side, left:left + side]


@torch.no_grad()
def track_clip(model: nn.Module,
               frames: np.ndarray,
               seed: int = 0) -> Dict[str, np.ndarray]:
    """Let the teacher track objects through one clip.

    Args:
        model (DoRA): The model, in eval mode.
        frames (np.ndarray): (T, S, S, 3), uint8, RGB; resized to the global
            views that the model is trained with.
        seed (int): Of the draw of attention heads. Defaults to 0.

    Returns:
        dict[str, np.ndarray]: ``head_attn`` (T, H, N), the [CLS] row of the
        attention in every frame; ``raw_track_attn`` and ``track_attn``
        (T, K, N); ``object_masks`` (T, K, h, w) in [0, 1]; ``heads`` (K,).
    """
    clip = model.data_preprocessor.plain_view(frames)
    model.seed_step(seed)
    tracks = model.track(clip[None])
    # every frame as the first frame of its own clip
    each = model.teacher['backbone'].forward_track(clip[:, None],
                                                   model.track_layer,
                                                   model.patch_feature)
    names = ('raw_track_attn', 'track_attn', 'object_masks', 'heads')
    found = {name: tracks[name][0].cpu().numpy() for name in names}
    return dict(found, head_attn=each.cls_attn.cpu().numpy())
