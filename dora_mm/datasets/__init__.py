"""Video clips on the worker: dataset, sampler, readers and transforms."""
from .block_clip_sampler import BlockClipSampler
from .clip_sampler import ClipSampler
from .davis_dataset import DAVISDataset
from .labelled_images import LabelledImages
from .transforms import *  # noqa: F401,F403
from .walking_tours_video_dataset import WalkingToursVideoDataset

__all__ = [
    'BlockClipSampler', 'ClipSampler', 'DAVISDataset', 'LabelledImages',
    'WalkingToursVideoDataset'
]
