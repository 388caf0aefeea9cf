from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config

from dora_mm.apis.video_audit import AuditedVideo
from dora_mm.utils.counted import counted
from dora_mm.utils.measured_rates import CLIPS_PER_SECOND, training_hours
from dora_mm.utils.shipped_configs import config_path

# Seconds.
_MOST_INTERVAL = 2.
_LEAST_INTERVAL = 0.1


@dataclass
class AuditPlan:
    """What a recipe makes of audited videos.

    Args:
        recipe (str): Name of a shipped config.
        sources (str): What the user named as videos.
        store (str): Folder that the prepared videos will lie in.
        card (str): A key of :data:`CLIPS_PER_SECOND`.
        videos (Sequence[AuditedVideo]): At least one.

    Raises:
        ValueError: If the recipe trains on no videos, or the videos have no
            useful frame.
    """
    recipe: str
    sources: str
    store: str
    card: str
    videos: Sequence[AuditedVideo]

    def __post_init__(self) -> None:
        cfg = self.cfg = read_recipe(self.recipe)
        dataset = cfg.train_dataloader.dataset
        self.clip_len: int = dataset.clip_len
        self.start_stride: int = dataset.get('start_stride', 1)
        self.has_stride = dataset.get('frame_stride') is not None
        # Pixels of the clip that views are made of; 0 if it is not cropped.
        self.crop_size: int = next(
            (step['size'] for step in dataset.pipeline
             if step['type'] == 'dora_mm.ClipRandomResizedCrop'), 0)
        self.epochs: int = cfg.train_cfg.max_epochs
        self.interval = recommend_interval(self.videos, self.clip_len)

    def clips_of(self, video: AuditedVideo) -> int:
        """Clips of a video in an epoch."""
        return video.num_clips(self.interval, self.clip_len, self.start_stride)

    @property
    def num_clips(self) -> int:
        """Clips an epoch."""
        return sum(map(self.clips_of, self.videos))

    def hours(self) -> Optional[Tuple[float, float]]:
        """Hours on the card, least and most; None for another backbone."""
        model = self.cfg.model
        if model.backbone.arch != 'deit-small' or model.type != 'dora_mm.DoRA':
            return None
        return training_hours(self.num_clips * self.epochs, self.card,
                              model.data_preprocessor.global_views.num)

    def facts(self) -> Dict[str, str]:
        """What to know before training, by name."""
        hours = self.hours()
        text = (f'not known: only ViT-S/16 of DoRA was measured, on '
                f'{" and ".join(CLIPS_PER_SECOND)}')
        if hours is not None:
            text = (f'{hours[0]:.3g} to {hours[1]:.3g}, from measurements of '
                    'earlier code (docs/benchmarks.md)')
        useful, whole = (
            float(sum(frames / v.fps for v, frames in zip(self.videos, all_)))
            / 60 for all_ in ([v.useful_frames for v in self.videos],
                              [v.num_frames for v in self.videos]))
        span = self.interval * (self.clip_len - 1)
        return {
            'useful': f'{useful:.1f} of {whole:.1f} minutes',
            'frame interval': f'{self.interval:g} s, a clip of '
            f'{counted(self.clip_len, "frame")} lasts {span:.3g} s',
            'clips an epoch': f'{self.num_clips:,}',
            'clips in all': f'{self.num_clips * self.epochs:,}, in '
            f'{counted(self.epochs, "epoch")}',
            f'hours on one {self.card}': text,
            'disk, once prepared':
            f'{sum(v.num_bytes for v in self.videos) / 1e9:.3g} GB'
        }


def read_recipe(name: str) -> Config:
    """Read a shipped config that trains on videos.

    Args:
        name (str): Of :func:`config_path`.

    Returns:
        Config: The recipe.

    Raises:
        ValueError: If there is none of this name, or it trains on no videos.
    """
    cfg = Config.fromfile(config_path(name))
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    if dataset.get('type') != 'dora_mm.WalkingToursVideoDataset':
        raise ValueError(f'--recipe must train on videos, but got {name}: '
                         'take one of dora/ or dino/')
    return cfg


def recommend_interval(videos: Sequence[AuditedVideo],
                       clip_len: int) -> float:
    """Seconds from one frame of a clip to the next to begin with.

    A rule of thumb: the mean half-life of the videos, by their useful length,
    between 0.1 and 2 seconds; shorter if otherwise less than half of the
    useful frames could begin a clip. A video that hardly changes counts with
    2 seconds. It was not compared with training.

    Args:
        videos (Sequence[AuditedVideo]): At least one.
        clip_len (int): Frames of a clip.

    Returns:
        float: A multiple of 0.05.

    Raises:
        ValueError: If no video has a useful frame.
    """
    weights = [float(v.useful_frames / v.fps) for v in videos]
    useful = sum(v.useful_frames for v in videos)
    if useful == 0:
        raise ValueError(
            'videos must have frames that are not blank, frozen or damaged, '
            f'but got none in {len(videos)}: use other videos')
    lives = [
        _MOST_INTERVAL if v.half_life is None else min(
            v.half_life, _MOST_INTERVAL) for v in videos
    ]
    interval = float(np.average(lives, weights=weights))

    def enough(seconds: float) -> bool:
        return 2 * sum(v.num_clips(seconds, clip_len)
                       for v in videos) >= useful

    candidates = _candidates(interval)
    return next(filter(enough, candidates), candidates[-1])


def _candidates(interval: float) -> List[float]:
    """Multiples of 0.05 from an interval down."""
    steps = max(round(interval * 20), round(_LEAST_INTERVAL * 20))
    return [i / 20 for i in range(steps, round(_LEAST_INTERVAL * 20) - 1, -1)]
