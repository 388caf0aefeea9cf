"""Views of a batch of clips, on the model's device.

Letters: B clips, T frames, V global views, L local views, S input size,
H, W pixels.
"""
from typing import List, NamedTuple, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from dora_mm.models.data_preprocessors.views.batch_checks import (check_clips,
                                                                  clip_seeds)
from dora_mm.models.data_preprocessors.views.batched_views import batched_views
from dora_mm.models.data_preprocessors.views.crop_resize import INTERPOLATIONS
from dora_mm.models.data_preprocessors.views.per_image_views import \
    per_image_views
from dora_mm.models.data_preprocessors.views.photometric import blur_radius
from dora_mm.models.data_preprocessors.views.photometric_params import (
    NUM_PHOTOMETRIC_UNIFORMS, PhotometricParams)
from dora_mm.models.data_preprocessors.views.view_params import (
    NUM_BOX_UNIFORMS, clip_uniforms, random_resized_boxes)
from dora_mm.models.utils.setting_checks import (check_choice, check_per_view,
                                                 check_prob, check_range)
from dora_mm.registry import MODELS

_MODES = ('frame', 'clip')


class _ViewGroup(NamedTuple):
    """What the views of one size have in common."""
    prefix: str
    num: int
    size: int
    scale: Tuple[float, float]
    interpolation: str
    flip_prob: float
    blur_prob: Tuple[float, ...]  # one for each view
    solarize_prob: Tuple[float, ...]
    boxes: str  # 'frame' or 'clip'
    streams: Tuple[int, int]  # of random numbers: geometry, colour


@MODELS.register_module()
class ClipViewPreprocessor(BaseDataPreprocessor):
    """Cut the global and local views of DoRA out of a batch of clips.

    Crop, flip, resize, colour jitter, grey, blur, solarise and normalise run
    batched on an accelerator, without a loop over frames and without waiting
    for the device; on a CPU, an image at a time, which costs a seventh there
    and differs by the rounding of the resized pixels to 8 bits. Every random
    number is drawn on the CPU from the clip's own seed, so the views of a
    clip do not depend on the rest of the batch, its place in it, the number
    of workers or of ranks. Geometry and colour, and global and local views,
    use separate numbers, and a view more or a changed probability leaves the
    draws of the others as they were.

    The global box and flip are shared by the frames of a clip. The same
    views are made in training and in evaluation.

    Source: the authors' code; the defaults are its numbers, except that it
    has one global view where the paper has two. It resizes the global view
    without antialiasing, and blurs with PIL's approximation of a Gaussian;
    here both are exact. DINO differs by ``global_blur_prob=(1.0, 0.1)`` and
    ``global_solarize_prob=(0.0, 0.2)``.

    Args:
        num_global_views (int): V, at least 1.
        global_size (int): Pixels of a global view.
        global_scale (Tuple[float, float]): Share of the input's area.
        global_interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        global_flip_prob (float): Of the horizontal flip, once per clip and
            view.
        global_blur_prob (float | Sequence[float]): For all global views, or
            one for each.
        global_solarize_prob (float | Sequence[float]): Likewise.
        num_local_views (int): L, may be 0.
        local_size (int): Pixels of a local view.
        local_scale (Tuple[float, float]): Share of the input's area.
        local_interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        local_flip_prob (float): Drawn as often as the local box.
        local_blur_prob (float | Sequence[float]): As for the global views.
        local_solarize_prob (float | Sequence[float]): Likewise.
        local_boxes (str): ``'frame'``: a new box in each frame (authors'
            code); ``'clip'``: the same box through the clip.
        aspect_ratio (Tuple[float, float]): Range of a box's width / height.
        brightness (float): Factor in [max(0, 1 - x), 1 + x].
        contrast (float): Likewise.
        saturation (float): Likewise.
        hue (float): Shift in [-x, x] turns, at most 0.5.
        jitter_prob (float): Of the colour jitter as a whole.
        gray_prob (float): Of dropping the colour.
        blur_sigma (Tuple[float, float]): Range of the Gaussian's standard
            deviation in pixels (PIL calls it radius).
        photometric (str): ``'frame'``: colour and blur drawn anew in each
            frame (authors' code); ``'clip'``: once per clip and view.
        mean (Sequence[float]): Of R, G, B, of values in 0 - 255.
        std (Sequence[float]): Likewise.
        non_blocking (bool): Queue the copy of the clips to the device instead
            of waiting for it and for the kernels before it; this takes
            ``pin_memory=True`` in the dataloader. What reads the clips is
            queued behind the copy, so it is safe. On a CPU nothing is copied.

    Raises:
        ValueError: If a setting is out of its range.
    """

    def __init__(self,
                 num_global_views: int = 2,
                 global_size: int = 224,
                 global_scale: Tuple[float, float] = (0.4, 1.0),
                 global_interpolation: str = 'bilinear',
                 global_flip_prob: float = 0.5,
                 global_blur_prob: Union[float, Sequence[float]] = 0.1,
                 global_solarize_prob: Union[float, Sequence[float]] = 0.0,
                 num_local_views: int = 6,
                 local_size: int = 112,
                 local_scale: Tuple[float, float] = (0.05, 0.4),
                 local_interpolation: str = 'bicubic',
                 local_flip_prob: float = 0.0,
                 local_blur_prob: Union[float, Sequence[float]] = 0.5,
                 local_solarize_prob: Union[float, Sequence[float]] = 0.0,
                 local_boxes: str = 'frame',
                 aspect_ratio: Tuple[float, float] = (3 / 4, 4 / 3),
                 brightness: float = 0.4,
                 contrast: float = 0.4,
                 saturation: float = 0.2,
                 hue: float = 0.1,
                 jitter_prob: float = 0.8,
                 gray_prob: float = 0.2,
                 blur_sigma: Tuple[float, float] = (0.1, 2.0),
                 photometric: str = 'frame',
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)
        if num_global_views < 1:
            raise ValueError(f'num_global_views must be at least 1, got '
                             f'{num_global_views}.')
        self.aspect_ratio = check_range('aspect_ratio', aspect_ratio)
        self.blur_sigma = check_range('blur_sigma', blur_sigma)
        self.photometric = check_choice('photometric', photometric, _MODES)
        self.jitter_range = _jitter_range(brightness, contrast, saturation,
                                          hue)
        self.jitter_prob = check_prob('jitter_prob', jitter_prob)
        self.gray_prob = check_prob('gray_prob', gray_prob)
        self.global_views = self._view_group(
            'global', num_global_views, global_size, global_scale,
            global_interpolation, global_flip_prob, global_blur_prob,
            global_solarize_prob, 'clip', (0, 1))
        self.local_views = self._view_group('local', num_local_views,
                                            local_size, local_scale,
                                            local_interpolation,
                                            local_flip_prob, local_blur_prob,
                                            local_solarize_prob, local_boxes,
                                            (2, 3))
        for name, value in (('mean', mean), ('std', std)):
            if len(value) != 3 or (name == 'std' and min(value) <= 0):
                raise ValueError(f'{name} must be three numbers (R, G, B, on '
                                 f'0 - 255; std positive), got {value}.')
            value = torch.tensor(value, dtype=torch.float32) / 255
            self.register_buffer(name, value.view(3, 1, 1), persistent=False)

    def _view_group(self, prefix: str, num: int, size: int,
                    scale: Sequence[float], interpolation: str,
                    flip_prob: float, blur_prob: Union[float, Sequence[float]],
                    solarize_prob: Union[float, Sequence[float]], boxes: str,
                    streams: Tuple[int, int]) -> _ViewGroup:
        """Check the settings of the global or the local views."""
        if num < 0:
            raise ValueError(f'num_{prefix}_views must not be negative, got '
                             f'{num}.')
        scale = check_range(f'{prefix}_scale', scale)
        if scale[1] > 1:
            raise ValueError(f'{prefix}_scale is a share of the area and '
                             f'must not exceed 1, got {scale}.')
        blur_prob = check_per_view(f'{prefix}_blur_prob', blur_prob, num)
        radius = blur_radius(self.blur_sigma[1])
        if size < 1 or (any(blur_prob) and size <= radius):
            raise ValueError(
                f'{prefix}_size must be positive and above the radius of the '
                f'blur ({radius} pixels for blur_sigma={self.blur_sigma}), '
                f'got {size}: enlarge it, or lower blur_sigma or '
                f'{prefix}_blur_prob.')
        return _ViewGroup(
            prefix, num, size, scale,
            check_choice(f'{prefix}_interpolation', interpolation,
                         INTERPOLATIONS),
            check_prob(f'{prefix}_flip_prob', flip_prob), blur_prob,
            check_per_view(f'{prefix}_solarize_prob', solarize_prob, num),
            check_choice(f'{prefix}_boxes', boxes, _MODES), streams)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make the views.

        Args:
            data (dict): ``inputs``: uint8 RGB (B, T, 3, S, S);
                ``data_samples``: B samples, each with an integer ``seed`` in
                [0, 2**64), or absent: then the seeds are drawn from torch's
                global generator.
            training (bool): Without effect.

        Returns:
            dict: ``inputs``: dict of normalised float32 ``global_clips``
            (V, B, T, 3, global_size, global_size) and ``local_clips``
            (L, B, T, 3, local_size, local_size); ``data_samples`` as given.

        Raises:
            TypeError: If ``inputs`` is not a uint8 tensor.
            ValueError: If its shape or device, the number of data samples or
                a seed does not fit.
        """
        check_clips(data['inputs'], self.device)
        data = self.cast_data(data)
        clips = data['inputs']
        samples = data.get('data_samples')
        seeds = clip_seeds(samples, len(clips))
        # The optimiser's autocast is on around this call; half precision
        # would cost 8-bit pixels their last bit.
        with torch.no_grad(), torch.autocast(clips.device.type, enabled=False):
            views = {
                f'{group.prefix}_clips': self._make_views(clips, seeds, group)
                for group in (self.global_views, self.local_views)
            }
        return dict(inputs=views, data_samples=samples)

    def _make_views(self, clips: Tensor, seeds: List[int],
                    group: _ViewGroup) -> Tensor:
        """All views of one size: (num, B, T, 3, size, size)."""
        b, t, c, h, w = clips.shape
        if not group.num:
            return clips.new_empty((0, b, t, c, group.size, group.size),
                                   dtype=torch.float32)
        make = per_image_views if clips.device.type == 'cpu' else batched_views
        return make(clips, **self._view_arguments(seeds, group, t, h, w))

    def _view_arguments(self, seeds: List[int], group: _ViewGroup,
                        num_frames: int, height: int, width: int) -> dict:
        """Draws and settings of the views of one size."""
        boxes, flips = self._draw_boxes(seeds, group, num_frames, height,
                                        width)
        return dict(
            boxes=boxes,
            flips=flips,
            params=self._draw_photometric(seeds, group, num_frames),
            out_size=group.size,
            interpolation=group.interpolation,
            max_sigma=self.blur_sigma[1],
            mean=self.mean,
            std=self.std)

    def _draw_boxes(self, seeds: List[int], group: _ViewGroup, num_frames: int,
                    height: int, width: int) -> Tuple[np.ndarray, np.ndarray]:
        """Boxes (V, B, T or 1, 4) and flips (V, B, T or 1)."""
        geometry = clip_uniforms(seeds, group.streams[0],
                                 (group.num, num_frames, NUM_BOX_UNIFORMS + 1))
        geometry = geometry.swapaxes(0, 1)  # (V, B, T, 23)
        if group.boxes == 'clip':
            geometry = geometry[:, :, :1]
        boxes = random_resized_boxes(geometry[..., 1:], height, width,
                                     group.scale, self.aspect_ratio)
        return boxes, geometry[..., 0] < group.flip_prob

    def _draw_photometric(self, seeds: List[int], group: _ViewGroup,
                          num_frames: int) -> PhotometricParams:
        """Parameters of V * B * T images."""
        color = clip_uniforms(
            seeds, group.streams[1],
            (group.num, num_frames, NUM_PHOTOMETRIC_UNIFORMS))
        color = color.swapaxes(0, 1)  # (V, B, T, 13)
        if self.photometric == 'clip':
            color = np.broadcast_to(color[:, :, :1], color.shape)
        per_view = len(seeds) * num_frames
        return PhotometricParams.from_uniforms(
            color.reshape(-1, NUM_PHOTOMETRIC_UNIFORMS), self.jitter_range,
            self.jitter_prob, self.gray_prob,
            np.repeat(group.blur_prob, per_view), self.blur_sigma,
            np.repeat(group.solarize_prob, per_view))


def _jitter_range(brightness: float, contrast: float, saturation: float,
                  hue: float) -> Tuple[Tuple[float, float], ...]:
    """Range of each jitter factor, in the order of ``JITTER_OPS``."""
    strengths = dict(
        brightness=brightness, contrast=contrast, saturation=saturation)
    for name, value in strengths.items():
        if value < 0:
            raise ValueError(f'{name} must not be negative, got {value}.')
    if not 0 <= hue <= 0.5:
        raise ValueError(f'hue is in turns, in [0, 0.5], got {hue}.')
    ranges = [(max(0, 1 - x), 1 + x) for x in strengths.values()]
    return (*ranges, (-hue, hue))
