"""What passes between the stages of a DoRA step.

Letters: B clips, T frames, K objects, H heads, N patches, D channels.
"""
from typing import NamedTuple, Optional

from torch import Tensor


class TrackFeatures(NamedTuple):
    """What the tracker needs of the teacher, and nothing else.

    Only ``key`` and ``cls_token`` keep all frames; the others are of the
    first frame t0. Queries and keys have their heads concatenated.
    """

    cls_token: Tensor  # (B, T, D), after the final norm
    patch_tokens: Tensor  # (B, N, D), Z~ of t0
    query: Tensor  # (B, N, D), patches of t0
    key: Tensor  # (B, T, N, D), patches of every frame
    cls_attn: Tensor  # (B, H, N), the [CLS] row of the attention in t0


class ObjectTracks(NamedTuple):
    """Objects discovered in t0 and followed through the clip.

    ``raw_track_attn`` and ``track_attn`` are softmax maps that sum to 1 over
    the patches, before and after Sinkhorn-Knopp's refinement. Without
    refinement there is no plan, and the two are the same.
    """

    heads: Tensor  # (B, K), int64, the attention heads drawn
    object_prototypes: Tensor  # (B, K, D), eq. 2
    transport_plan: Optional[Tensor]  # (B, N, K), M* of eq. 4
    refined_prototypes: Tensor  # (B, K, D), eq. 5
    raw_track_attn: Tensor  # (B, T, K, N), eq. 3
    track_attn: Tensor  # (B, T, K, N), eq. 6
