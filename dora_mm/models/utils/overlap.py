import torch
from torch import Tensor


def mean_overlap(track_attn: Tensor) -> Tensor:
    """How much objects overlap in space.

    The mean over pairs of objects of the intersection over union of the
    patches above the mean of each map. Softmax maps are compared by shape,
    not by value: flat ones coincide almost everywhere, whatever they show.

    Args:
        track_attn (Tensor): (..., K, N), float.

    Returns:
        Tensor: Scalar in [0, 1]; 0 for disjoint objects or a single one.
    """
    num_objects = track_attn.shape[-2]
    if num_objects < 2:
        return track_attn.new_zeros(())
    above = track_attn > track_attn.mean(-1, keepdim=True)
    first, second = torch.triu_indices(
        num_objects, num_objects, offset=1, device=above.device)
    first, second = above[..., first, :], above[..., second, :]
    common = (first & second).sum(-1)
    union = (first | second).sum(-1)
    return (common / union.clamp(min=1)).mean()
