"""Views of a batch of clips, on the model's device.

Letters: B clips, T frames, V global views, L local views, S input size,
H, W pixels.
"""
import math
from numbers import Real
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from dora_mm.models.utils.setting_checks import (check_choice, check_keys,
                                                 check_prob, check_range)
from dora_mm.registry import MODELS
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD, resize_frames
from .views.batch_checks import check_clips, clip_seeds
from .views.batched_views import batched_views
from .views.per_image_views import per_image_views
from .views.view_group import MODES, ColorLaw, ViewGroup

# What may be set in each group, with the defaults, and beside the groups.
GROUPS = dict(
    global_views=dict(
        num=2,
        size=224,
        scale=(0.4, 1.0),
        interpolation='bilinear',
        flip_prob=0.5,
        blur_prob=0.1,
        solarize_prob=0.0),
    local_views=dict(
        num=6,
        size=112,
        scale=(0.05, 0.4),
        interpolation='bicubic',
        flip_prob=0.0,
        blur_prob=0.5,
        solarize_prob=0.0,
        boxes='frame'),
    color_jitter=dict(
        prob=0.8, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1))
_BESIDE = ('gray_prob', 'blur_sigma', 'photometric', 'aspect_ratio', 'mean',
           'std')


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
    views are made in training and in evaluation. The copy of the clips to
    the device is queued, not waited for, if the dataloader has
    ``pin_memory=True``; what reads them is queued behind it.

    Source: the authors' code; the defaults are its numbers, except that it
    has one global view where the paper has two. It resizes the global view
    without antialiasing, and blurs with PIL's approximation of a Gaussian;
    here both are exact. DINO differs by ``blur_prob=(1.0, 0.1)`` and
    ``solarize_prob=(0.0, 0.2)`` of the global views.

    What belongs together is a dict. A key that it lacks keeps its default,
    which :data:`GROUPS` holds, so that a config may change one and
    ``--cfg-options model.data_preprocessor.local_views.num=2`` works.

    Args:
        global_views (dict, optional): ``num``: V, at least 1; ``size``: of a
            view's side in pixels; ``scale``: range of the box's share of the
            input's area; ``interpolation``: ``'bilinear'`` or ``'bicubic'``;
            ``flip_prob``: of the horizontal flip, once per clip and view;
            ``blur_prob`` and ``solarize_prob``: one number for all views, or
            one for each.
        local_views (dict, optional): The same keys, where ``num`` is L and
            may be 0 and the flip is drawn as often as the box; and
            ``boxes``: ``'frame'``: a new box in each frame (authors' code);
            ``'clip'``: the same box through the clip.
        color_jitter (dict, optional): ``prob``: of the jitter as a whole;
            ``brightness``, ``contrast``, ``saturation``: x of a factor in
            [max(0, 1 - x), 1 + x]; ``hue``: x of a shift in [-x, x] turns,
            at most 0.5.
        gray_prob (float): Of dropping the colour.
        blur_sigma (Tuple[float, float]): Range of the Gaussian's standard
            deviation in pixels (PIL calls it radius).
        photometric (str): ``'frame'``: colour and blur drawn anew in each
            frame (authors' code); ``'clip'``: once per clip and view.
        aspect_ratio (Tuple[float, float]): Range of a box's width / height.
        mean (Sequence[float]): Of R, G, B, of values in 0 - 255.
        std (Sequence[float]): Of R, G, B, of values in 0 - 255.

    Raises:
        ValueError: If a setting is unknown or out of its range.
    """

    def __init__(self,
                 global_views: Optional[dict] = None,
                 local_views: Optional[dict] = None,
                 color_jitter: Optional[dict] = None,
                 gray_prob: float = 0.2,
                 blur_sigma: Tuple[float, float] = (0.1, 2.0),
                 photometric: str = 'frame',
                 aspect_ratio: Tuple[float, float] = (3 / 4, 4 / 3),
                 mean: Sequence[float] = RGB_MEAN,
                 std: Sequence[float] = RGB_STD,
                 **unknown: Any) -> None:
        super().__init__(non_blocking=True)
        groups = _with_defaults(
            dict(
                global_views=global_views,
                local_views=local_views,
                color_jitter=color_jitter), unknown)
        jitter = groups['color_jitter']
        color = ColorLaw(
            jitter_range=_jitter_range(jitter),
            jitter_prob=check_prob('color_jitter.prob', jitter['prob']),
            gray_prob=check_prob('gray_prob', gray_prob),
            blur_sigma=check_range('blur_sigma', blur_sigma),
            photometric=check_choice('photometric', photometric, MODES))
        aspect_ratio = check_range('aspect_ratio', aspect_ratio)
        self.global_views = ViewGroup('global', (0, 1), color, aspect_ratio,
                                      **groups['global_views']).checked()
        self.local_views = ViewGroup('local', (2, 3), color, aspect_ratio,
                                     **groups['local_views']).checked()
        for name, value in (('mean', mean), ('std', std)):
            if len(value) != 3 or not all(
                    isinstance(x, Real) and x >= 0 for x in value) or (
                        name == 'std' and not all(value)):
                raise ValueError(f'{name} must be three numbers (R, G, B, on '
                                 f'0 - 255; std positive), but got {value}')
            value = torch.tensor(value, dtype=torch.float32) / 255
            self.register_buffer(name, value.view(3, 1, 1), persistent=False)

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
        self.check_batch(data)
        # Casting 32 data samples, which have no tensors, takes a millisecond.
        clips = self.cast_data(data['inputs'])
        samples = data.get('data_samples')
        seeds = clip_seeds(samples, len(clips))
        # The optimiser's autocast is on around this call; bfloat16 would
        # cost 8-bit pixels their last bit.
        with torch.no_grad(), torch.autocast(clips.device.type, enabled=False):
            views = {
                f'{group.prefix}_clips': self._make_views(clips, seeds, group)
                for group in (self.global_views, self.local_views)
            }
        return dict(inputs=views, data_samples=samples)

    def check_batch(self, data: dict) -> None:
        """Refuse what is no batch of clips.

        Args:
            data (dict): See :meth:`forward`.

        Raises:
            TypeError: If ``inputs`` is not a uint8 tensor.
            ValueError: If its shape or device does not fit.
        """
        check_clips(data.get('inputs'), self.device)

    def plain_view(self, frames: np.ndarray) -> Tensor:
        """Frames as global views that nothing was drawn for.

        Args:
            frames (np.ndarray): uint8 (T, S, S, 3), RGB.

        Returns:
            Tensor: float32 (T, 3, size, size) of the global views, resized by
            :func:`resize_frames` and normalised, on the model's device.
        """
        side = self.global_views.size
        frames = torch.from_numpy(resize_frames(frames, (side, side)))
        pixels = frames.permute(0, 3, 1, 2).to(self.mean.device).float() / 255
        return (pixels - self.mean) / self.std

    def _make_views(self, clips: Tensor, seeds: List[int],
                    group: ViewGroup) -> Tensor:
        """All views of one size: (num, B, T, 3, size, size)."""
        b, t, c, h, w = clips.shape
        if not group.num:
            return clips.new_empty((0, b, t, c, group.size, group.size),
                                   dtype=torch.float32)
        make = per_image_views if clips.device.type == 'cpu' else batched_views
        return make(clips, group.draw(seeds, t, h, w), self.mean, self.std)


def _with_defaults(given: Mapping[str, Optional[dict]],
                   unknown: Mapping[str, Any]) -> Dict[str, dict]:
    """The groups with what they lack, or the error of what nobody knows."""
    for name, group in given.items():
        if not isinstance(group, (dict, type(None))):
            raise ValueError(f'{name} must be a dict of settings, but got '
                             f'{group!r}: write {name}=dict(...)')

    def dotted(groups: Mapping[str, Optional[dict]]) -> List[str]:
        return [
            f'{name}.{key}' for name, group in groups.items()
            for key in group or {}
        ]

    check_keys('ClipViewPreprocessor', [*unknown, *dotted(given)],
               [*_BESIDE, *dotted(GROUPS)])
    return {name: {**GROUPS[name], **(given[name] or {})} for name in GROUPS}


def _jitter_range(jitter: Mapping[str,
                                  float]) -> Tuple[Tuple[float, float], ...]:
    """Range of each jitter factor, in the order of ``JITTER_OPS``."""
    ranges = []
    for name, most in (('brightness', math.inf), ('contrast', math.inf),
                       ('saturation', math.inf), ('hue', 0.5)):
        value = jitter[name]
        if not isinstance(value, Real) or not 0 <= value <= most:
            raise ValueError(f'color_jitter.{name} must be a number in '
                             f'[0, {most}], but got {value!r}')
        ranges.append((-value, value) if name == 'hue' else
                      (max(0, 1 - value), 1 + value))
    return tuple(ranges)
