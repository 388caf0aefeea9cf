# Letters: B clips, T frames, V global views, L local views, K objects,
# N patches, P logits, C channels of the last layer's input.
from typing import Dict, List, Optional, Tuple, Union

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from dora_mm.registry import MODELS, TRANSFORMS
from ..utils import (ObjectTracks, TrackFeatures, mean_overlap, plan_error,
                     track_consistency)
from ..utils.control_masks import MASK_CONTROLS, control_masks
from ..utils.setting_checks import check_choice
from ..utils.settings_of import settings_of
from .dino import DINO, in_compiled_step


@MODELS.register_module()
class DoRA(DINO):
    """Discover and track objects, and learn from them.

    Paper: "Is ImageNet worth 1 video? Learning strong image encoders from 1
    long unlabelled video", ICLR 2024. A teacher view u is matched with the
    masked objects of a student view v != u. With one global view, the student
    sees the objects of the teacher's own view, as in the authors' code.

    Args:
        backbone (dict): :class:`DoRAViT`.
        neck (dict): :class:`DINONeck`, see :class:`DINO`.
        head (dict): :class:`SinkhornPrototypeHead`.
        mask (dict): :class:`MultiObjectMaskTransform`.
        loss (dict): :class:`DoRALoss`, see :class:`DINO`.
        data_preprocessor (dict): :class:`ClipViewPreprocessor`.
        track_layer (int): Teacher layer of queries, keys and [CLS]
            attention. Defaults to -1: the tracker of the paper's Fig. 3,
            which the output of the second last layer goes into, is the last
            layer. The authors' code has it so.
        patch_feature (str): Source of the patch tokens Z~: 'final', the
            output of the ViT, or 'attention', the output of the attention of
            the tracking layer. Defaults to 'final', the paper's "output
            embeddings" and the authors' code.
        mask_control (str, optional): Not the paper's method: masks that are
            no tracks, to tell what tracking is worth. See
            :func:`control_masks`. Defaults to None.
        drop_hidden (bool): Not the paper's method: the student reads the
            visible patches of a masked view only, as in MAE, instead of
            hidden ones as zeros. Defaults to False.
        compile_layers (bool | dict, optional): See :class:`DINO`. Defaults to
            None.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If ``drop_hidden`` is asked for with soft masks, if the
            backbone cannot track with these settings, or see :class:`DINO`.
    """

    min_global_views = 1

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 head: dict,
                 mask: dict,
                 loss: dict,
                 data_preprocessor: dict,
                 track_layer: int = -1,
                 patch_feature: str = 'final',
                 mask_control: Optional[str] = None,
                 drop_hidden: bool = False,
                 compile_layers: Union[None, bool, dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            loss=loss,
            data_preprocessor=data_preprocessor,
            compile_layers=compile_layers,
            init_cfg=init_cfg)
        with settings_of('model.mask'):
            self.mask_transform = TRANSFORMS.build(mask)
        if drop_hidden and not self.mask_transform.hides_patches:
            raise ValueError(
                'model.drop_hidden must be False where masks hide no patch, '
                'but got True with model.mask.mode='
                f'{self.mask_transform.mode!r}')
        with settings_of('model'):
            self.backbone.check_track_settings(track_layer, patch_feature)
            self.head.check_num_heads(self.backbone.layers[0].attn.num_heads)
            if mask_control is not None:
                check_choice('mask_control', mask_control, MASK_CONTROLS)
        self.drop_hidden = drop_hidden
        self.mask_control = mask_control
        self.track_layer = track_layer
        self.patch_feature = patch_feature

    @in_compiled_step
    def loss(
            self,
            inputs: Dict[str, Tensor],
            data_samples: Optional[List[DataSample]] = None
    ) -> Dict[str, Tensor]:
        """One step, as the paper's algorithm.

        Args:
            inputs (dict): ``global_clips`` (V, B, T, 3, h, w) and
                ``local_clips`` (L, B, T, 3, h', w'), L >= 0; normalised.
            data_samples (list, optional): Not used.

        Returns:
            dict[str, Tensor]: The losses of :class:`DoRALoss`, and what to
            watch: see :meth:`track_stats`.
        """
        clips = inputs['global_clips']

        # teacher; discover, refine and track; all views as one batch
        teacher_logits, feats = self._teach(clips)  # (V, B, T, P)
        tracks = self.head(feats)  # of V * B clips

        # mask
        masks = self.mask_transform(
            dict(clips=clips.flatten(0, 1), track_attn=tracks.track_attn))

        object_masks = masks['object_masks']  # (V * B, T, K, h, w)
        if self.mask_control is not None:
            object_masks = control_masks(
                object_masks.unflatten(0, clips.shape[:2]),
                self.mask_control).flatten(0, 1)

        # student
        object_features = self._see_objects(
            clips, object_masks)  # (V, K, B, T, C)
        local_features = self.student_features(
            self.loss_module.select_local(
                inputs['local_clips']))  # (L, B, T, C)

        losses = self.loss_module(teacher_logits, object_features,
                                  local_features, self.neck.last_layer.weight)
        losses.update(self.track_stats(tracks, masks))
        self.loss_module.update_center(teacher_logits)
        return losses

    @torch.no_grad()
    def track(self,
              clips: Tensor,
              heads: Optional[Tensor] = None,
              batch_frames: Optional[int] = None) -> Dict[str, Tensor]:
        """The teacher's view of a clip, for pictures and analysis.

        Args:
            clips (Tensor): (B, T, 3, h, w), normalised.
            heads (Tensor, optional): (B, K) heads instead of a draw.
            batch_frames (int, optional): Frames of each clip that go through
                the backbone at a time. Defaults to all.

        Returns:
            dict[str, Tensor]: ``cls_attn`` (B, H, N) of the first frame,
            ``object_masks`` (B, T, K, h / p, w / p), ``consistency``, a
            scalar (:func:`track_consistency`), and the fields of
            :class:`ObjectTracks`.
        """
        parts = [
            self.teacher['backbone'].forward_track(part, self.track_layer,
                                                   self.patch_feature)
            for part in clips.split(batch_frames or clips.shape[1], 1)
        ]
        feats = parts[0]._replace(
            cls_token=torch.cat([part.cls_token for part in parts], 1),
            key=torch.cat([part.key for part in parts], 1))
        tracks = self.head(feats, heads)
        masks = self.mask_transform(
            dict(clips=clips, track_attn=tracks.track_attn))
        return dict(
            cls_attn=feats.cls_attn,
            object_masks=masks['object_masks'],
            consistency=track_consistency(tracks.track_attn, feats.key),
            **tracks._asdict())

    @torch.no_grad()
    def track_stats(self, tracks: ObjectTracks,
                    masks: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Scalars for the log.

        Args:
            tracks (ObjectTracks): See :class:`SinkhornPrototypeHead`.
            masks (dict): See :class:`MultiObjectMaskTransform`.

        Returns:
            dict[str, Tensor]: ``mask_coverage``, the share of pixels that the
            tracked objects cover; ``raw_overlap`` and ``overlap``,
            intersection over union of two objects before and after Sinkhorn;
            ``empty_masks`` and ``full_masks``, shares of all masks; and,
            where Sinkhorn runs, ``plan_error``, how far it is from its
            fixed point: see :func:`plan_error`.
        """
        stats = dict(
            mask_coverage=masks['object_masks'].float().mean(),
            raw_overlap=mean_overlap(tracks.raw_track_attn),
            overlap=mean_overlap(tracks.track_attn),
            empty_masks=masks['empty_masks'],
            full_masks=masks['full_masks'])
        if tracks.transport_plan is not None:
            stats['plan_error'] = plan_error(tracks.transport_plan)
        return stats

    def seed_step(self, seed: int) -> None:
        """Seed the draw of attention heads for this step."""
        self.head.seed(seed)

    @torch.no_grad()
    def _teach(self, clips: Tensor) -> Tuple[Tensor, TrackFeatures]:
        """(V, B, T, 3, h, w) to logits (V, B, T, P) and features of V * B
        clips."""
        feats = self.teacher['backbone'].forward_track(
            clips.flatten(0, 1), self.track_layer, self.patch_feature)
        logits = self.teacher['neck'](feats.cls_token)
        return logits.unflatten(0, clips.shape[:2]), feats

    def _see_objects(self, clips: Tensor, object_masks: Tensor) -> Tensor:
        """The student's features of masked views.

        Args:
            clips (Tensor): (V, B, T, 3, H, W).
            object_masks (Tensor): (V * B, T, K, h, w).

        Returns:
            Tensor: (V, K, B, T, C).
        """
        views, batch, frames = clips.shape[:3]
        masks = object_masks.unflatten(0, (views, batch))
        masks = masks.movedim(3, 1).flatten(2, 3)  # (V, K, B * T, h, w)
        transform = self.mask_transform
        cls_token = self.backbone.forward_masked(
            clips.flatten(1, 2), masks, self.drop_hidden,
            None if transform.hides_patches else transform.mask_images)[-1]
        return self.neck.bottleneck(cls_token).unflatten(
            0, (*masks.shape[:2], batch, frames))
