import math
from typing import Sequence, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform

from dora_mm.registry import TRANSFORMS

# Keeps the box apart from all else drawn from the clip's seed.
_CROP_BOX = 0xC20B
_NUM_TRIES = 10


@TRANSFORMS.register_module()
class ClipRandomResizedCrop(BaseTransform):
    """Crop one random box from all frames of a clip and resize it.

    The box is distributed as that of torchvision's ``RandomResizedCrop``. The
    frames are cropped first and resized then, bilinearly with antialiasing:
    the filter of torchvision and PIL, on 8 bits.

    Differs from the authors' code, which turns the whole frames into floats,
    resizes them bilinearly without antialiasing, so that 4K video is aliased,
    and draws from an unseeded generator. Here the box is a function of the
    clip's seed.

    **Required Keys:**

    - clip (uint8 (T, H, W, 3))
    - seed (int)

    **Modified Keys:**

    - clip (uint8 (T, size, size, 3))

    **Added Keys:**

    - crop_box (tuple of int: x, y, width, height, in pixels of the frame)

    Args:
        size (int): Side of the result in pixels. Defaults to 300.
        scale (Sequence[float]): Smallest and largest area of the box, as a
            share of the frame, in (0, 1]. Defaults to (0.2, 1.0).
        ratio (Sequence[float]): Smallest and largest width / height of the
            box. Defaults to (3 / 4, 4 / 3).

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
            self,
            size: int = 300,
            scale: Sequence[float] = (0.2, 1.0),
            ratio: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError('`size` must be a positive number of pixels, '
                             f'but got {size!r}.')
        if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
            raise ValueError('`scale` must be two shares of the area, 0 < '
                             f'smallest <= largest <= 1, but got {scale}.')
        if not (len(ratio) == 2 and 0 < ratio[0] <= ratio[1]):
            raise ValueError('`ratio` must be two values, 0 < smallest <= '
                             f'largest, but got {ratio}.')
        self.size = size
        self.scale = tuple(scale)
        self.ratio = tuple(ratio)

    def draw_box(self, height: int, width: int,
                 seed: int) -> Tuple[int, int, int, int]:
        """Draw the box of a clip.

        Args:
            height (int): Height of the frames in pixels.
            width (int): Width of the frames in pixels.
            seed (int): Seed of the clip, non-negative.

        Returns:
            tuple[int, int, int, int]: x, y, width, height.
        """
        rng = np.random.default_rng((seed, _CROP_BOX))
        log_ratio = np.log(self.ratio)
        for _ in range(_NUM_TRIES):
            area = height * width * rng.uniform(*self.scale)
            aspect = math.exp(rng.uniform(*log_ratio))
            w = round(math.sqrt(area * aspect))
            h = round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                x = int(rng.integers(width - w + 1))
                y = int(rng.integers(height - h + 1))
                return x, y, w, h
        # The largest central box of an aspect ratio within the bounds.
        aspect = min(max(width / height, self.ratio[0]), self.ratio[1])
        w = min(width, round(height * aspect))
        h = min(height, round(width / aspect))
        return (width - w) // 2, (height - h) // 2, w, h

    def transform(self, results: dict) -> dict:
        """Crop and resize the clip.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: The same dict with ``clip`` replaced.
        """
        clip = results['clip']
        x, y, w, h = self.draw_box(*clip.shape[1:3], results['seed'])
        box = torch.from_numpy(clip[:, y:y + h, x:x + w]).permute(0, 3, 1, 2)
        # OpenCV's INTER_AREA on such sizes takes three times as long.
        box = F.interpolate(
            box, (self.size, self.size), mode='bilinear', antialias=True)
        results['clip'] = box.permute(0, 2, 3, 1).numpy()
        results['crop_box'] = (x, y, w, h)
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(size={self.size}, '
                f'scale={self.scale}, ratio={self.ratio})')
