"""Video clips on the worker: dataset, sampler, readers and transforms."""
from .block_clip_sampler import BlockClipSampler
from .boxed_images import BoxedImages
from .clip_sampler import ClipSampler
from .davis_dataset import DAVISDataset
from .got10k_dataset import GOT10kDataset
from .labelled_images import LabelledImages
from .masked_images import MaskedImages
from .transforms import *  # noqa: F401,F403
from .walking_tours_video_dataset import WalkingToursVideoDataset

__all__ = [
    'BlockClipSampler', 'BoxedImages', 'ClipSampler', 'DAVISDataset',
    'GOT10kDataset', 'LabelledImages', 'MaskedImages',
    'WalkingToursVideoDataset'
]
