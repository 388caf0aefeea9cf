"""Video clips and labelled images on the worker."""
from .evaluation import *  # noqa: F401,F403
from .image_clip_dataset import ImageClipDataset
from .samplers import *  # noqa: F401,F403
from .transforms import *  # noqa: F401,F403
from .walking_tours_video_dataset import WalkingToursVideoDataset

__all__ = ['ImageClipDataset', 'WalkingToursVideoDataset']
