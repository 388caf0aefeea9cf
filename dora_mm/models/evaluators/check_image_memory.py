# Letters: S side in pixels, p side of a patch, D channels.
import os

from torch import nn


def check_image_memory(size: int, batch_size: int,
                       backbone: nn.Module) -> None:
    """Refuse images that a batch of cannot lie in this machine's memory.

    A layer of a ViT holds about 12 numbers for each channel of each patch
    (queries, keys, values, and the MLP's four), besides the image itself:
    S^2 (3 + 12 D / p^2) numbers of 4 bytes. Attention is computed without its
    matrix and adds nothing to that.

    Args:
        size (int): S, of square images.
        batch_size (int): Images at once.
        backbone (nn.Module): With ``patch_size`` and ``embed_dims``, or
            neither.

    Raises:
        ValueError: With the largest size that fits.
    """
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    patch = getattr(backbone, 'patch_size', 1)
    numbers = 3 + 12 * getattr(backbone, 'embed_dims', 0) / patch**2
    most = int((memory / batch_size / numbers / 4)**0.5) // patch * patch
    if size > most:
        raise ValueError(
            f'size must be at most {most} pixels for {batch_size} images at '
            f'once in {memory / 2**30:.0f} GiB of memory, but got {size}: '
            'lower it, or batch_size')
