# Letters: B clips, T frames, K objects, N patches, D channels.
from torch import Tensor


def track_consistency(track_attn: Tensor, key: Tensor) -> Tensor:
    """Whether a track leads from the last frame back to where it began.

    Where an object was tracked to in the last frame, the mean of the keys
    there, weighed by the track, is looked for in the first frame, as the
    tracker looks for a prototype. Both maps of the first frame, the track's
    and the one that came back, are cut at their mean and compared. Coinciding
    objects come back to the same place as well, so the figure says something
    only as far as it is above their overlap (:func:`mean_overlap`).

    Args:
        track_attn (Tensor): (B, T, K, N), float, sums to 1 over N.
        key (Tensor): (B, T, N, D), float.

    Returns:
        Tensor: Scalar, mean intersection over union, in [0, 1].
    """
    found = track_attn[:, -1] @ key[:, -1]  # (B, K, D)
    back = found * key.shape[-1]**-0.5 @ key[:, 0].mT  # (B, K, N)
    back = back.softmax(-1)
    first = track_attn[:, 0]
    first, back = (m > m.mean(-1, keepdim=True) for m in (first, back))
    union = (first | back).sum(-1).clamp(min=1)
    return ((first & back).sum(-1) / union).mean()
