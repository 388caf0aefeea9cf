"""Settings of the views of one size, and what is drawn by them.

Letters: B clips, T frames, V views.
"""
from typing import NamedTuple, Sequence, Tuple

import numpy as np

from dora_mm.models.utils.setting_checks import (check_choice, check_integer,
                                                 check_per_view, check_prob,
                                                 check_range)
from .crop_resize import INTERPOLATIONS
from .photometric import blur_radius
from .photometric_params import NUM_PHOTOMETRIC_UNIFORMS, PhotometricParams
from .view_draws import ViewDraws
from .view_params import NUM_BOX_UNIFORMS, clip_uniforms, random_resized_boxes

MODES = ('frame', 'clip')


class ColorLaw(NamedTuple):
    """How colour and blur are drawn, for the views of every size.

    Attributes:
        jitter_range (Tuple[Tuple[float, float], ...]): Lowest and highest
            factor of each operation of ``JITTER_OPS``.
        jitter_prob (float): Of the colour jitter as a whole.
        gray_prob (float): Of dropping the colour.
        blur_sigma (Tuple[float, float]): Range of the Gaussian's standard
            deviation in pixels.
        photometric (str): ``'frame'`` or ``'clip'``: what shares its draw.
    """
    jitter_range: Tuple[Tuple[float, float], ...]
    jitter_prob: float
    gray_prob: float
    blur_sigma: Tuple[float, float]
    photometric: str


class ViewGroup(NamedTuple):
    """The views of one size; :meth:`checked` makes it of a user's settings.

    Attributes:
        prefix (str): ``'global'`` or ``'local'``.
        streams (Tuple[int, int]): Random numbers of geometry and of colour,
            which no other group uses.
        color (ColorLaw): Shared by the groups.
        aspect_ratio (Tuple[float, float]): Range of a box's width / height.
        num (int): V.
        size (int): Pixels of a view's side.
        scale (Tuple[float, float]): Share of the input's area.
        interpolation (str): ``'bilinear'`` or ``'bicubic'``.
        flip_prob (float): Of the horizontal flip, drawn with each box.
        blur_prob (Tuple[float, ...]): V probabilities.
        solarize_prob (Tuple[float, ...]): V probabilities.
        boxes (str): ``'frame'`` or ``'clip'``: what shares a box.
    """
    prefix: str
    streams: Tuple[int, int]
    color: ColorLaw
    aspect_ratio: Tuple[float, float]
    num: int
    size: int
    scale: Tuple[float, float]
    interpolation: str
    flip_prob: float
    blur_prob: Tuple[float, ...]
    solarize_prob: Tuple[float, ...]
    boxes: str = 'clip'

    def checked(self) -> 'ViewGroup':
        """The group with every setting checked.

        Raises:
            ValueError: If a setting is out of its range.
        """
        name = f'{self.prefix}_views'
        # DoRA takes its objects from a global view.
        least = 1 if self.prefix == 'global' else 0
        num = check_integer(f'{name}.num', self.num, least)
        scale = check_range(f'{name}.scale', self.scale)
        if scale[1] > 1:
            raise ValueError(f'{name}.scale must be shares of the area of at '
                             f'most 1, but got {scale}')
        blur_prob = check_per_view(f'{name}.blur_prob', self.blur_prob, num)
        size = check_integer(f'{name}.size', self.size, 1)
        radius = blur_radius(self.color.blur_sigma[1])
        if any(blur_prob) and size <= radius:
            raise ValueError(
                f'{name}.size must be above the radius of the blur, {radius} '
                f'pixels for blur_sigma={self.color.blur_sigma}, but got '
                f'{size}: enlarge it, or lower blur_sigma or {name}.blur_prob')
        check_choice(f'{name}.interpolation', self.interpolation,
                     INTERPOLATIONS)
        check_prob(f'{name}.flip_prob', self.flip_prob)
        check_choice(f'{name}.boxes', self.boxes, MODES)
        return self._replace(
            scale=scale,
            blur_prob=blur_prob,
            solarize_prob=check_per_view(f'{name}.solarize_prob',
                                         self.solarize_prob, num))

    def draw(self, seeds: Sequence[int], num_frames: int, height: int,
             width: int) -> ViewDraws:
        """Draw all views of B clips.

        Args:
            seeds (Sequence[int]): B seeds in [0, 2**64); the draws of a clip
                depend on its own alone.
            num_frames (int): T.
            height (int): Of the frames, in pixels.
            width (int): Of the frames, in pixels.

        Returns:
            ViewDraws: For :func:`.batched_views.batched_views` or
            :func:`.per_image_views.per_image_views`.
        """
        geometry = clip_uniforms(seeds, self.streams[0],
                                 (self.num, num_frames, NUM_BOX_UNIFORMS + 1))
        geometry = geometry.swapaxes(0, 1)  # (V, B, T, 23)
        if self.boxes == 'clip':
            geometry = geometry[:, :, :1]
        return ViewDraws(
            boxes=random_resized_boxes(geometry[..., 1:], height, width,
                                       self.scale, self.aspect_ratio),
            flips=geometry[..., 0] < self.flip_prob,
            params=self._draw_params(seeds, num_frames),
            size=self.size,
            interpolation=self.interpolation,
            max_sigma=self.color.blur_sigma[1])

    def _draw_params(self, seeds: Sequence[int],
                     num_frames: int) -> PhotometricParams:
        """Parameters of V * B * T images."""
        uniforms = clip_uniforms(
            seeds, self.streams[1],
            (self.num, num_frames, NUM_PHOTOMETRIC_UNIFORMS))
        uniforms = uniforms.swapaxes(0, 1)  # (V, B, T, 13)
        if self.color.photometric == 'clip':
            uniforms = np.broadcast_to(uniforms[:, :, :1], uniforms.shape)
        per_view = len(seeds) * num_frames
        return PhotometricParams.from_uniforms(
            uniforms.reshape(-1, NUM_PHOTOMETRIC_UNIFORMS),
            self.color.jitter_range, self.color.jitter_prob,
            self.color.gray_prob, np.repeat(self.blur_prob, per_view),
            self.color.blur_sigma, np.repeat(self.solarize_prob, per_view))
