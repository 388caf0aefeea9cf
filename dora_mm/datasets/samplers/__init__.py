"""The order in which clips are read."""
from .block_clip_sampler import BlockClipSampler
from .clip_sampler import ClipSampler

__all__ = ['BlockClipSampler', 'ClipSampler']
