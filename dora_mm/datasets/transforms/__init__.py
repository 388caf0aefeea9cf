"""Transforms of clips."""
from .clip_random_resized_crop import ClipRandomResizedCrop
from .decode_image import DecodeImage
from .load_clip_from_block import LoadClipFromBlock
from .load_clip_from_video import LoadClipFromVideo
from .multi_object_mask_transform import MultiObjectMaskTransform
from .pack_clip_inputs import PackClipInputs
from .read_clip_jpegs import ReadClipJPEGs

__all__ = [
    'ClipRandomResizedCrop', 'DecodeImage', 'LoadClipFromBlock',
    'LoadClipFromVideo', 'MultiObjectMaskTransform', 'PackClipInputs',
    'ReadClipJPEGs'
]
