# Letters: B clips, T frames, K objects, H heads, N patches, D channels.
from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.dist import get_rank
from mmengine.model import BaseModule
from torch import Tensor
from torch.utils._triton import has_triton

from dora_mm.registry import MODELS
from ..utils import ObjectTracks, TrackFeatures, check_sinkhorn, sinkhorn_knopp
from ..utils.setting_checks import check_choice
from ..utils.warn_of_failure import warn_of_failure


@MODELS.register_module()
class SinkhornPrototypeHead(BaseModule):
    """Discover objects in the first frame, separate them, track them.

    Paper: "Is ImageNet worth 1 video?", section 4, equations 2 to 6. It has
    no parameters and computes in float32 without gradient.

    Args:
        num_objects (int): K, the number of heads drawn. Defaults to 3.
        epsilon (float): Regularisation of the transport. Defaults to 0.05.
        num_iters (int): Sinkhorn-Knopp iterations. Defaults to 30.
        refine (bool): Track with refined prototypes P'. Without, the tracks
            are the raw ones of equation 3: the paper's ablation of
            Sinkhorn-Knopp. Defaults to True.
        normalize_tokens (bool): L2-normalise the patch tokens Z~ before the
            transport, as the authors' code does; the paper's equation 4 does
            not. Without it the scores grow with the tokens' norm and the
            plan hardens. Defaults to True.
        plan_mass (str): 'patch' gives every patch's row a mass of 1 (the
            authors' code), so a refined prototype is a sum over the patches;
            'unit' gives the plan a total mass of 1, rows 1 / N and columns
            1 / K (the paper's marginals), so it is N times shorter, and a
            track so flat that its mask is about half of every frame.
            Defaults to 'patch'.
        draw (str): 'batch' draws K heads that all clips share (the authors'
            code), 'sample' draws anew for each clip. Defaults to 'batch'.
        sync_draw (bool): Whether every rank draws the same heads. Defaults to
            True. The authors' code draws from Python's ``random``, which it
            never seeds, so its ranks differ.
        fused (bool, optional): Run Sinkhorn-Knopp as one kernel of Triton
            instead of some 500. If it fails, a warning says so, once, and
            PyTorch runs it. Defaults to None, on CUDA where Triton works.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 num_objects: int = 3,
                 epsilon: float = 0.05,
                 num_iters: int = 30,
                 refine: bool = True,
                 normalize_tokens: bool = True,
                 plan_mass: str = 'patch',
                 draw: str = 'batch',
                 sync_draw: bool = True,
                 fused: Optional[bool] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if num_objects < 1:
            raise ValueError(
                f'num_objects must be at least 1, but got {num_objects}')
        check_sinkhorn(epsilon, num_iters)
        self.num_objects = num_objects
        self.epsilon = epsilon
        self.num_iters = num_iters
        self.refine = refine
        self.normalize_tokens = normalize_tokens
        self.plan_mass = check_choice('plan_mass', plan_mass,
                                      ('unit', 'patch'))
        self.draw = check_choice('draw', draw, ('batch', 'sample'))
        self.sync_draw = sync_draw
        self.fused = fused
        self._generator = None

    def seed(self, seed: int) -> None:
        """Seed the draw of heads.

        Args:
            seed (int): The same on every rank; with ``sync_draw=False`` the
                rank is mixed in here.
        """
        self._generator = torch.Generator()
        self._generator.manual_seed(seed if self.sync_draw else seed + 7919 *
                                    (get_rank() + 1))

    def check_num_heads(self, num_heads: int) -> None:
        """Refuse a backbone of too few attention heads.

        Args:
            num_heads (int): H.

        Raises:
            ValueError: If it is less than K.
        """
        if num_heads < self.num_objects:
            raise ValueError(
                f'head.num_objects must be at most {num_heads}, the attention '
                f'heads of the backbone, but got {self.num_objects}: lower it '
                'or choose a wider backbone.arch')

    def draw_heads(self, batch: int, num_heads: int) -> Tensor:
        """Draw K different heads for each clip.

        Args:
            batch (int): B.
            num_heads (int): H, must be at least K.

        Returns:
            Tensor: (B, K), int64, on the CPU.

        Raises:
            ValueError: If the backbone has fewer heads than objects.
        """
        self.check_num_heads(num_heads)
        if self._generator is None:
            self.seed(torch.initial_seed() % 2**62)
        rows = batch if self.draw == 'sample' else 1
        order = torch.rand(rows, num_heads, generator=self._generator)
        return order.argsort(-1)[:, :self.num_objects].expand(batch, -1)

    @torch.no_grad()
    def forward(self,
                feats: TrackFeatures,
                heads: Optional[Tensor] = None) -> ObjectTracks:
        """Discover, refine, track.

        Args:
            feats (TrackFeatures): The teacher's features.
            heads (Tensor, optional): (B, K) heads to use instead of a draw.

        Returns:
            ObjectTracks: See there for the shapes.
        """
        with torch.autocast(feats.key.device.type, enabled=False):
            return self._forward(
                TrackFeatures(*(tensor.float() for tensor in feats)), heads)

    def _forward(self, feats: TrackFeatures,
                 heads: Optional[Tensor]) -> ObjectTracks:
        if heads is None:
            heads = self.draw_heads(*feats.cls_attn.shape[:2])
        heads = heads.to(feats.cls_attn.device, non_blocking=True)
        num_patches = feats.cls_attn.shape[-1]

        # discover: A (B, K, N), P = A Q~ (B, K, D)                     eq. 2
        attn = feats.cls_attn.gather(
            1, heads[:, :, None].expand(-1, -1, num_patches))
        object_prototypes = attn @ feats.query
        raw_track_attn = self._track(object_prototypes, feats.key)  # eq. 3
        if not self.refine:
            return ObjectTracks(heads, object_prototypes, None,
                                object_prototypes, raw_track_attn,
                                raw_track_attn)

        # refine: M* (B, N, K), P' = M*^T Z~ (B, K, D)               eq. 4, 5
        tokens = feats.patch_tokens
        if self.normalize_tokens:
            tokens = F.normalize(tokens, dim=-1)
        transport_plan = self._transport(tokens @ object_prototypes.mT)
        if self.plan_mass == 'unit':
            transport_plan = transport_plan / num_patches
        refined_prototypes = transport_plan.mT @ tokens

        return ObjectTracks(
            heads=heads,
            object_prototypes=object_prototypes,
            transport_plan=transport_plan,
            refined_prototypes=refined_prototypes,
            raw_track_attn=raw_track_attn,
            track_attn=self._track(refined_prototypes, feats.key))  # eq. 6

    def _transport(self, scores: Tensor) -> Tensor:
        """Scores (B, N, K) to the plan (B, N, K)."""
        if self.fused is None:
            # The Triton of older ones interprets the kernel wrongly.
            self.fused = scores.is_cuda and has_triton() and (
                torch.__version__ >= '2.6')
        if self.fused:
            try:
                # It imports Triton, which not every machine has.
                from ..utils.sinkhorn_kernel import fused_sinkhorn_knopp
                return fused_sinkhorn_knopp(scores, self.epsilon,
                                            self.num_iters)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a compiler may raise anything
                self.fused = False
                warn_of_failure(
                    'Triton', error, 'Sinkhorn-Knopp goes on without it. '
                    'model.head.fused=False does not try')
        return sinkhorn_knopp(scores, self.epsilon, self.num_iters)

    @staticmethod
    def _track(prototypes: Tensor, key: Tensor) -> Tensor:
        """softmax(P K^T / sqrt(D)) over the patches of every frame.

        Args:
            prototypes (Tensor): (B, K, D).
            key (Tensor): (B, T, N, D).

        Returns:
            Tensor: (B, T, K, N).
        """
        scale = prototypes.shape[-1]**-0.5
        return (scale * prototypes[:, None] @ key.mT).softmax(dim=-1)
