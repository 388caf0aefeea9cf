"""What tells of a model in training whether it learns.

Letters: M frames of all clips, T frames, N patches, D channels, P logits.
"""
from typing import Dict, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from dora_mm.evaluation.health import alpha_req, rank_me, unique_prototypes
from ..utils import mean_overlap


@torch.no_grad()
def model_health(model: nn.Module, clips: Sequence[np.ndarray],
                 seed: int = 0) -> Dict[str, float]:
    """Figures of the teacher on clips of a video.

    Args:
        model (DINO | DoRA): The model.
        clips (Sequence[np.ndarray]): Each (T, S, S, 3), uint8, RGB, at least
            two frames in all; resized to the global views of the training.
        seed (int): Of the draw of attention heads. Defaults to 0.

    Returns:
        dict[str, float]: ``cls_rank`` and ``cls_alpha`` (:func:`rank_me`,
        :func:`alpha_req`) of the [CLS] tokens of all frames, ``patch_rank``
        and ``patch_alpha`` of the patches of the first frames;
        ``unique_prototypes`` and ``used_prototypes``, the shares of the P
        logits that no other one repeats, and that are the largest one of a
        frame (of at most M / P). Of a model that tracks also
        ``track_consistency``, ``mask_coverage`` (share of pixels) and
        ``overlap`` (intersection over union of two objects).
    """
    teacher = model.teacher
    cls_tokens, patches, largest, tracks = [], [], [], []
    for clip in clips:
        clip = model.data_preprocessor.plain_view(clip)[None]
        feats = teacher['backbone'].forward_track(clip)
        cls_tokens.append(feats.cls_token.flatten(0, 1).float())
        patches.append(feats.patch_tokens.flatten(0, 1).float())
        largest.append(teacher['neck'](feats.cls_token).argmax(-1).flatten())
        if hasattr(model, 'track'):
            tracks.append(_track_figures(model, clip, seed))
    weight = teacher['neck'].last_layer.weight
    found = dict(
        cls_rank=rank_me(torch.cat(cls_tokens)),
        cls_alpha=alpha_req(torch.cat(cls_tokens)),
        patch_rank=rank_me(torch.cat(patches)),
        patch_alpha=alpha_req(torch.cat(patches)),
        unique_prototypes=unique_prototypes(weight),
        used_prototypes=len(torch.cat(largest).unique()) / len(weight))
    for name in tracks[0] if tracks else ():
        found[name] = sum(figures[name] for figures in tracks) / len(tracks)
    return found


def _track_figures(model: nn.Module, clip: Tensor,
                   seed: int) -> Dict[str, float]:
    # A draw of its own: training goes on with the model's.
    num_heads = model.backbone.layers[0].attn.num_heads
    order = torch.randperm(
        num_heads, generator=torch.Generator().manual_seed(seed))
    tracks = model.track(clip, order[None, :model.head.num_objects])
    return dict(
        track_consistency=float(tracks['consistency']),
        mask_coverage=float(tracks['object_masks'].float().mean()),
        overlap=float(mean_overlap(tracks['track_attn'])))
