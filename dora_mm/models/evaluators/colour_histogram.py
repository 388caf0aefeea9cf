# Letters: B images, N patches, Q bins of a channel.
from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dora_mm.registry import MODELS
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD


@MODELS.register_module()
class ColourHistogram(nn.Module):
    """Colours in place of a learnt feature: the floor of every evaluation.

    A patch, and the whole image as [CLS], is described by its joint histogram
    of red, green and blue. A pixel is shared linearly between the nearest
    bins; square roots make the cosine of two histograms their Bhattacharyya
    coefficient. It knows nothing of shape or place.

    Args:
        patch_size (int): Pixels. Defaults to 16.
        num_bins (int): Q, bins of each channel. Defaults to 5.
        mean, std (Sequence[float]): Of the normalisation that the images come
            with, on the scale 0 to 255. Default to ImageNet's.
    """

    def __init__(self,
                 patch_size: int = 16,
                 num_bins: int = 5,
                 mean: Sequence[float] = RGB_MEAN,
                 std: Sequence[float] = RGB_STD) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.num_bins = num_bins
        self.register_buffer('mean', torch.tensor(mean).reshape(3, 1, 1))
        self.register_buffer('std', torch.tensor(std).reshape(3, 1, 1))

    def forward(self, images: Tensor) -> Tuple[Tensor]:
        """Describe each patch.

        Args:
            images (Tensor): (B, 3, h, w), normalised.

        Returns:
            tuple[Tensor]: One entry (B, 1 + N, Q^3), the whole image first;
            each row has the L2 norm 1.
        """
        # one by one: a pixel's joint histogram is Q^3 numbers
        return (torch.cat([self._describe(image) for image in images]), )

    def _describe(self, image: Tensor) -> Tensor:
        """(3, h, w) to (1, 1 + N, Q^3)."""
        place = (image * self.std + self.mean).clamp(0, 255) / 255 * (
            self.num_bins - 1)
        bins = torch.arange(self.num_bins, device=image.device)
        share = (1 - (place[:, None] - bins.reshape(-1, 1, 1)).abs()).clamp(
            min=0)  # (3, Q, h, w)
        joint = torch.einsum('ihw,jhw,khw->ijkhw', *share)
        patches = F.avg_pool2d(joint.flatten(0, 2)[None], self.patch_size)
        patches = patches.flatten(2).mT
        return torch.cat((patches.mean(1, keepdim=True), patches), 1).sqrt()
