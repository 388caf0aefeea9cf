# Letters: B clips, T frames, K objects, N patches; h, w: patch grid.
import math

import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform

from dora_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MultiObjectMaskTransform(BaseTransform):
    """Cut tracked objects out of a batch of clips (eq. 7).

    It needs the teacher's attention, so :class:`DoRA` builds it and applies
    it on the device, to a batch. Frames are masked after normalisation, as in
    the authors' code: hidden pixels are 0, the data set's mean colour.

    Required Keys:

    - clips (Tensor): (B, T, 3, H, W), normalised.
    - track_attn (Tensor): (B, T, K, N), float32, >= 0.

    The masked clips themselves, K copies, are not made: where
    :attr:`hides_patches`, the student masks projected patches, else pixels
    with :meth:`mask_images`, one object at a time.

    Added Keys:

    - object_masks (Tensor): (B, T, K, h, w) on the patch grid; 0 or 1, or in
      [0, 1] for soft masks, in the dtype of the clips.
    - empty_masks, full_masks (Tensor): Scalars, the share of the B * T * K
      masks that hide everything and nothing.

    Args:
        mode (str): 'map' keeps the patches above the mean of their own map.
            'batch' divides each map by its L2 norm and keeps what is above
            the mean over all clips of the batch, for each object and frame:
            the authors' code, where a clip's mask depends on its batch-mates
            and can be empty or full. 'soft' multiplies by the map over its
            maximum (the paper's Fig. 3), bilinear between patches. Defaults
            to 'map'.

    Raises:
        ValueError: If ``mode`` is unknown, or the maps do not fit the clips.
    """

    MODES = ('map', 'batch', 'soft')

    def __init__(self, mode: str = 'map') -> None:
        if mode not in self.MODES:
            raise ValueError(
                f'mode must be one of {self.MODES}, but got {mode!r}')
        self.mode = mode

    @torch.no_grad()
    def transform(self, results: dict) -> dict:
        """Add the masks."""
        clips, track_attn = results['clips'], results['track_attn']
        height, width = clips.shape[-2:]
        patch_size = math.isqrt(height * width // track_attn.shape[-1])
        grid = (height // max(patch_size, 1), width // max(patch_size, 1))
        if math.prod(grid) != track_attn.shape[-1]:
            raise ValueError(
                f'track_attn must have a patch of each square of a '
                f'{height}x{width} clip, but got {track_attn.shape[-1]}: '
                'choose view sizes that are multiples of the patch size')
        masks = self._masks(track_attn).to(clips.dtype)
        kept = masks.sum(-1)
        results['empty_masks'] = (kept == 0).float().mean()
        results['full_masks'] = (masks == 1).all(-1).float().mean()
        results['object_masks'] = masks.unflatten(-1, grid)
        return results

    @property
    def hides_patches(self) -> bool:
        """Whether a mask hides whole patches, and so can mask their
        projection instead of pixels."""
        return self.mode != 'soft'

    def mask_images(self, images: torch.Tensor,
                    masks: torch.Tensor) -> torch.Tensor:
        """Multiply pixels by the soft masks of one object.

        Args:
            images (Tensor): (M, 3, H, W), normalised.
            masks (Tensor): (M, h, w), on the patch grid.

        Returns:
            Tensor: (M, 3, H, W).
        """
        return images * F.interpolate(
            masks[:, None],
            size=images.shape[-2:],
            mode='bilinear',
            align_corners=False)

    def _masks(self, track_attn: torch.Tensor) -> torch.Tensor:
        """(B, T, K, N) maps to masks of the same shape."""
        if self.mode == 'soft':
            return track_attn / track_attn.amax(-1, keepdim=True)
        if self.mode == 'map':
            return track_attn > track_attn.mean(-1, keepdim=True)
        unit = track_attn / track_attn.norm(dim=-1, keepdim=True)
        return unit > unit.mean((0, 3), keepdim=True)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(mode={self.mode!r})'
