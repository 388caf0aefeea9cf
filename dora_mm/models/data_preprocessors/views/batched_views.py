"""Views of uint8 clips on an accelerator, all of a batch at once.

Letters: B clips, T frames, V views, S output size, H, W pixels.
"""
import torch
from torch import Tensor

from .crop_resize import crop_resize
from .photometric import apply_photometric
from .view_draws import ViewDraws
from .view_params import to_device


def batched_views(clips: Tensor, draws: ViewDraws, mean: Tensor,
                  std: Tensor) -> Tensor:
    """Crop, resize, colour and normalise views without a loop over frames.

    The parameters lie on the CPU and are copied asynchronously; nothing is
    read back, so the host never waits for the device. Pixels are float32 from
    the crop on; but on a CPU the matrices of crop and blur, and what they
    are multiplied by, are float16, in which a GPU's products are many times
    as fast.

    Args:
        clips (Tensor): uint8 RGB (B, T, 3, H, W), on any device.
        draws (ViewDraws): What to make of them.
        mean (Tensor): float32 (3, 1, 1), of R, G, B, of values in 0 - 1.
        std (Tensor): float32 (3, 1, 1), of R, G, B, of values in 0 - 1.

    Returns:
        Tensor: Normalised float32 (V, B, T, 3, S, S).
    """
    (boxes, flips), _ = to_device([draws.boxes, draws.flips], [], clips.device)
    dtype = torch.float32 if clips.is_cpu else torch.float16
    views = crop_resize(clips, boxes, draws.size, draws.interpolation, flips,
                        dtype)
    images = apply_photometric(
        views.flatten(0, 2), draws.params, draws.max_sigma, dtype)
    torch.addcdiv(-mean / std, images, std, out=images)
    return images.view(views.shape)
