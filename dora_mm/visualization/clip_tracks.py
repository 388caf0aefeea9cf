"""From a video and a model to the tracks of a clip.

Letters: T frames, K objects, H heads, N patches, S side in pixels.
"""
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from dora_mm.checkpoints.run_config import checkpoint_config
from dora_mm.checkpoints.safe_load import load_trusted
from dora_mm.registry import MODELS
from dora_mm.utils.pixels import resize_frames
from dora_mm.video.readers import build_reader


class Clip(NamedTuple):
    """The largest central squares of some frames of a video."""
    frames: np.ndarray  # (T, S, S, 3), uint8, RGB
    indices: np.ndarray  # (T,), frame numbers in the file
    fps: float


def load_track_model(source, config=None):
    """Build a DoRA model from a checkpoint, or from a config alone.

    Args:
        source (str | Path): A runner checkpoint, or a config file (``.py``)
            for random weights, which are the same in every call.
        config (str | Path, optional): Config file to use instead of the one
            in the checkpoint.

    Returns:
        tuple[DoRA, Config]: The model in eval mode, and its config.

    Raises:
        ValueError: If the file is missing, unsafe or without a usable
            config, if the weights do not fit, or if the model does not track
            (DINO).
    """
    source = Path(source)
    if not source.is_file():
        raise ValueError(f'{source} is not a file: give a checkpoint or a '
                         'config file')
    checkpoint = None
    if source.suffix == '.py':
        cfg = Config.fromfile(source)
    else:
        checkpoint = load_trusted(source)
        if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint:
            raise ValueError(f'{source} is no runner checkpoint of dora_mm: '
                             'convert it with tools/convert_checkpoint.py')
        cfg = Config.fromfile(config) if config else checkpoint_config(
            checkpoint)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    # the constructors draw numbers that init_weights leaves as they are
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        if checkpoint is None:
            model.init_weights()
    if not hasattr(model, 'track'):
        raise ValueError(f'{source}: a {type(model).__name__} does not track '
                         'objects; give a DoRA model')
    if checkpoint is not None:
        try:
            model.load_state_dict(checkpoint['state_dict'], strict=True)
        except RuntimeError as error:
            raise ValueError(
                f'{source} does not fit its config: {error}') from error
    model.eval()
    return model, cfg


def clip_settings(cfg):
    """Clip length and spacing that a config trains with.

    Args:
        cfg (Config): Config of a run.

    Returns:
        dict: ``clip_len`` (frames), and ``frame_interval`` (seconds) or
        ``frame_stride`` (frames), the other one None.
    """
    data = cfg.get('train_dataloader', {}).get('dataset', {})
    return dict(
        clip_len=data.get('clip_len', 8),
        frame_interval=data.get('frame_interval'),
        frame_stride=data.get('frame_stride'))


def read_clips(video,
               num_clips,
               start=0.,
               clip_len=8,
               frame_interval=None,
               frame_stride=None):
    """Read clips that follow one another from a video.

    Args:
        video (str | Path): The file.
        num_clips (int): How many clips.
        start (float): Second at which the first one begins. Defaults to 0.
        clip_len (int): Frames in a clip, T. Defaults to 8.
        frame_interval (float, optional): Seconds between frames. Defaults to
            1 without ``frame_stride``.
        frame_stride (int, optional): Frames from one frame to the next.

    Yields:
        Clip: One clip at a time.

    Raises:
        ValueError: If the file is missing or too short, or a number is out
            of range.
    """
    if not Path(video).is_file():
        raise ValueError(f'video {video} is not a file: check the path')
    if num_clips < 1 or start < 0 or clip_len < 1:
        raise ValueError(
            'num_clips and clip_len must be at least 1 and start at least 0, '
            f'but got {num_clips}, {clip_len} and {start}')
    reader = build_reader(str(video))
    try:
        fps = reader.fps
        step = frame_stride
        if frame_interval is not None or step is None:
            step = round(fps * (frame_interval or 1.))
        if step < 1:
            raise ValueError(
                f'frame_interval={frame_interval} seconds is less than half a '
                f'frame of {video} ({fps:g} frames per second)')
        first = round(start * fps)
        needed = first + (num_clips * clip_len - 1) * step + 1
        if needed > reader.num_frames:
            raise ValueError(
                f'{video} has {reader.num_frames} frames, but {num_clips} '
                f'clips of {clip_len} frames, {step} apart, from frame '
                f'{first} on need {needed}: lower num_clips, start or the '
                'interval')
        for number in range(num_clips):
            steps = np.arange(number * clip_len, (number + 1) * clip_len)
            indices = first + steps * step
            frames = _central_square(reader.get_frames(indices))
            yield Clip(frames, indices, fps)
    finally:
        reader.close()


def _central_square(frames):
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[:, top:top + side, left:left + side]


@torch.no_grad()
def track_clip(model, frames, seed=0):
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
    preprocessor = model.data_preprocessor
    side = preprocessor.global_views.size
    frames = resize_frames(frames, (side, side))
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2)
    clip = clip.to(preprocessor.mean.device).float() / 255
    clip = clip - preprocessor.mean.reshape(3, 1, 1)
    clip = clip / preprocessor.std.reshape(3, 1, 1)
    model.seed_step(seed)
    tracks = model.track(clip[None])
    # every frame as the first frame of its own clip
    each = model.teacher['backbone'].forward_track(clip[:, None],
                                                   model.track_layer,
                                                   model.patch_feature)
    names = ('raw_track_attn', 'track_attn', 'object_masks', 'heads')
    found = {name: tracks[name][0].cpu().numpy() for name in names}
    return dict(found, head_attn=each.cls_attn.cpu().numpy())
