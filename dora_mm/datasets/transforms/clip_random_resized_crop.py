from functools import partial
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from dora_mm.registry import TRANSFORMS
from dora_mm.utils.random_resized_crop import NUM_TRIES, box_sizes, central_box
from dora_mm.utils.resize_box import resize_box
from dora_mm.video.readers.cut_jpegs import cut_jpegs

# Keeps the box apart from all else drawn from the clip's seed.
_CROP_BOX = 0xC20B


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

    - clip (uint8 (T, H, W, 3)); or reader and frame_indices, from
      :class:`LoadClipFromVideo`; or jpegs and img_shape (H, W), from
      :class:`ReadClipJPEGs`
    - seed (int)

    **Modified Keys:**

    - clip (uint8 (T, size, size, 3)), unless there are jpegs, which are
      resized where they are decoded
    - jpegs (list of bytes, T), of a part of the frames where that can be

    **Added Keys:**

    - crop_box (tuple of int: x, y, width, height, in pixels of the frame, or
      of the part that jpegs show)
    - crop_size (int: ``size``)

    **Deleted Keys:**

    - reader

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
            raise ValueError('size must be a positive number of pixels, but '
                             f'got {size!r}')
        if not (len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1):
            raise ValueError('scale must be two shares of the area, 0 < '
                             f'smallest <= largest <= 1, but got {scale}')
        if not (len(ratio) == 2 and 0 < ratio[0] <= ratio[1]):
            raise ValueError('ratio must be two values, 0 < smallest <= '
                             f'largest, but got {ratio}')
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
        for _ in range(NUM_TRIES):
            share = rng.uniform(*self.scale)
            h, w, fits = box_sizes(share, rng.uniform(*log_ratio), height,
                                   width)
            if fits:
                h, w = int(h), int(w)
                x = int(rng.integers(width - w + 1))
                y = int(rng.integers(height - h + 1))
                return x, y, w, h
        y, x, h, w = central_box(height, width, self.ratio)
        return x, y, w, h

    def transform(self, results: Dict[str, Any]) -> Dict[str, Any]:
        """Crop and resize the clip.

        Args:
            results (dict): See the required keys.

        Returns:
            dict: The same dict with the box added and the frames replaced.

        Raises:
            VideoDecodeError: If a frame that the reader was left with cannot
                be decoded.
        """
        draw = partial(self.draw_box, seed=results['seed'])
        results['crop_size'] = self.size
        if 'jpegs' in results:
            results['jpegs'], results['crop_box'] = cut_jpegs(
                results['jpegs'], draw(*results['img_shape']))
            return results
        if 'reader' in results:
            frames, box = results.pop('reader').get_box(
                results['frame_indices'], draw)
            inside = (0, 0, *box[2:])
        else:
            frames = results['clip']
            box = inside = draw(*frames.shape[1:3])
        frames = torch.from_numpy(frames).permute(0, 3, 1, 2)
        frames = resize_box(frames, inside, self.size)
        results.update(
            crop_box=box, clip=frames.permute(0, 2, 3, 1).numpy())
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(size={self.size}, '
                f'scale={self.scale}, ratio={self.ratio})')
