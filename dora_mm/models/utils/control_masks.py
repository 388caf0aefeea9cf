# Letters: V views, B clips, T frames, K objects; h, w: patch grid, N = h w.
import torch
from torch import Tensor

MASK_CONTROLS = ('other_clip', 'blocks', 'first_frame')


def control_masks(masks: Tensor, control: str) -> Tensor:
    """Masks like tracked ones that lack one property of tracks.

    What a student learns from them tells what that property is worth. Random
    numbers come from torch's generator of the masks' device. Nothing waits
    for the device.

    Args:
        masks (Tensor): (V, B, T, K, h, w) of tracked objects, in [0, 1].
        control (str): 'other_clip' takes the masks of the next clip in the
            batch: real shapes that move, but not with these pictures.
            'blocks' takes one random block an object, at one place through
            the clip, of as many patches as the mask has in that frame.
            'first_frame' keeps the masks of t0 in every frame: objects that
            are discovered but not tracked.

    Returns:
        Tensor: Of the same shape and dtype.

    Raises:
        ValueError: If 'other_clip' meets a batch of one clip.
    """
    if control == 'first_frame':
        return masks[:, :, :1].expand_as(masks)
    if control == 'blocks':
        return _blocks(masks)
    if masks.shape[1] < 2:
        raise ValueError('train_dataloader.batch_size must be at least 2 with '
                         f'mask_control={control!r}, but got {masks.shape[1]}')
    return masks.roll(1, dims=1)


def _blocks(masks: Tensor) -> Tensor:
    """The patches nearest to a random place, in a stretched maximum norm."""
    views, batch, _, objects, height, width = masks.shape
    y, x, shape = torch.rand(
        3, views, batch, 1, objects, 1, 1, device=masks.device)
    stretch = 2**(shape - 0.5)  # sqrt(height / width), in [0.71, 1.41]
    rows = torch.arange(height, device=masks.device)[:, None] + 0.5
    rows = (rows - height * y).abs() / stretch
    columns = torch.arange(width, device=masks.device) + 0.5
    columns = (columns - width * x).abs() * stretch
    # The sum decides where maxima are equal, so that no line has a hole.
    distance = torch.maximum(rows, columns) + 1e-3 * (rows + columns)
    rank = distance.flatten(-2).argsort(-1).argsort(-1)  # (V, B, 1, K, N)
    kept = masks.flatten(-2).sum(-1, keepdim=True).round()
    return (rank < kept).to(masks.dtype).view_as(masks)
