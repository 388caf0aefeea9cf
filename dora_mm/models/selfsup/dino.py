# Letters: B clips, T frames, V global views, L local views, P logits,
# C channels of the last layer's input.
from copy import deepcopy
from functools import wraps
from typing import Any, Callable, Dict, List, Optional, Union

import torch
import torch.nn as nn
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor

from dora_mm.registry import MODELS
from ..data_preprocessors import ClipViewPreprocessor
from ..utils.layer_compiler import LayerCompiler
from ..utils.settings_of import settings_of


def in_compiled_step(loss: Callable) -> Callable:
    """Run the ``loss`` of a model with its layers compiled."""

    @wraps(loss)
    def step(self: 'DINO',
             inputs: Dict[str, Any],
             data_samples: Any = None) -> Dict[str, Tensor]:
        with self.layer_compiler.step(inputs['global_clips'].device,
                                      self.backbone, self.teacher['backbone']):
            return loss(self, inputs, data_samples)

    return step


@MODELS.register_module()
class DINO(BaseSelfSupervisor):
    """DINO on the frames of video clips: the baseline of DoRA.

    Paper: "Emerging Properties in Self-Supervised Vision Transformers". The
    student sees every view, the teacher the global ones; a frame is matched
    with the same frame in another view.

    With ``object_weight=1 / (1 + L)`` and ``local_weight=L / (1 + L)`` the
    loss is DINO's own mean over all pairs of views.

    Args:
        backbone (dict): :class:`DoRAViT`.
        neck (dict): :class:`DINONeck`; ``in_channels`` defaults to the
            channels of the backbone.
        loss (dict): :class:`DoRALoss`; ``out_channels`` defaults to those of
            the neck.
        data_preprocessor (dict): :class:`ClipViewPreprocessor`.
        head (dict, optional): None here; DoRA's tracker.
        compile_layers (bool | dict, optional): Compile the encoder layers,
            student's and teacher's, in training steps: see
            :class:`LayerCompiler`. mmengine's ``compile=True`` would compile
            the views as well, anew for most of the numbers that they draw.
            Defaults to None, on CUDA where a compiler works.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If the parts do not fit each other, or there are fewer
            global views than :attr:`min_global_views`.
    """

    min_global_views = 2

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 loss: dict,
                 data_preprocessor: dict,
                 head: Optional[dict] = None,
                 compile_layers: Union[None, bool, dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        # D and P are said once, by backbone and neck.
        backbone = _build('backbone', backbone)
        neck = _build('neck',
                      dict(dict(in_channels=backbone.embed_dims), **neck))
        if head is not None:
            head = _build('head', head)
        with settings_of('model.data_preprocessor'):
            super().__init__(
                backbone=backbone,
                neck=neck,
                head=head,
                data_preprocessor=data_preprocessor,
                init_cfg=init_cfg)
        self.loss_module = _build(
            'loss', dict(dict(out_channels=neck.out_channels), **loss))
        self._check_parts()
        self.teacher = nn.ModuleDict(
            dict(backbone=deepcopy(self.backbone), neck=deepcopy(self.neck)))
        self.teacher.requires_grad_(False)
        self.layer_compiler = LayerCompiler(compile_layers)

    def init_weights(self) -> None:
        """Initialise the student and start the teacher as its copy."""
        super().init_weights()
        self.update_teacher(momentum=0.)

    def train(self, mode: bool = True) -> 'DINO':
        """Set the mode; the teacher always runs without drop path."""
        super().train(mode)
        self.teacher.eval()
        return self

    @in_compiled_step
    def loss(
            self,
            inputs: Dict[str, Tensor],
            data_samples: Optional[List[DataSample]] = None
    ) -> Dict[str, Tensor]:
        """One step.

        Args:
            inputs (dict): ``global_clips`` (V, B, T, 3, h, w), V >= 2, and
                ``local_clips`` (L, B, T, 3, h', w'), L >= 0; normalised.
            data_samples (list, optional): Not used.

        Returns:
            dict[str, Tensor]: See :class:`DoRALoss`.

        Raises:
            ValueError: If there is only one global view.
        """
        clips = inputs['global_clips']
        if len(clips) < 2:
            raise ValueError(
                f'global_clips must be of at least 2 views, but got '
                f'{len(clips)}: set '
                'model.data_preprocessor.global_views.num=2')
        with torch.no_grad():
            cls_token = self.teacher['backbone'](clips.flatten(0, 2))[-1]
            cls_token = cls_token.unflatten(0, clips.shape[:3])
            teacher_logits = self.teacher['neck'](cls_token)  # (V, B, T, P)
        losses = self.loss_module(
            teacher_logits,
            self.student_features(clips[:, None]),  # (V, 1, B, T, C)
            self.student_features(
                self.loss_module.select_local(inputs['local_clips'])),
            self.neck.last_layer.weight)
        self.loss_module.update_center(teacher_logits)
        return losses

    def student_features(self, clips: Tensor) -> Optional[Tensor]:
        """One batched student forward, up to the neck's last layer.

        Args:
            clips (Tensor): (..., 3, h, w).

        Returns:
            Tensor: (..., C); None when there is nothing to see.
        """
        if clips.numel() == 0:
            return None
        lead = clips.shape[:-3]
        cls_token = self.backbone(clips.flatten(0, -4))[-1]
        return self.neck.bottleneck(cls_token).unflatten(0, lead)

    @torch.no_grad()
    def update_teacher(self, momentum: float) -> None:
        """Move the teacher towards the student, after the optimiser's step.

        Args:
            momentum (float): Share of the teacher kept, in [0, 1].
        """
        student = [*self.backbone.parameters(), *self.neck.parameters()]
        teacher = list(self.teacher.parameters())
        torch._foreach_lerp_(teacher, student, 1 - momentum)

    def set_teacher_temp(self, teacher_temp: float) -> None:
        """Set the temperature of the teacher's softmax."""
        self.loss_module.set_teacher_temp(teacher_temp)

    def last_layer_parameters(self) -> List[nn.Parameter]:
        """The student's last linear layer, frozen in the first epoch."""
        return list(self.neck.last_layer.parameters())

    def _check_parts(self) -> None:
        """Compare what is set in two places."""
        backbone, neck = self.backbone, self.neck
        _check_equal('model.neck.in_channels', neck.in_channels,
                     'the channels of model.backbone', backbone.embed_dims)
        _check_equal('model.loss.out_channels', self.loss_module.out_channels,
                     'model.neck.out_channels', neck.out_channels)
        _check_equal('model.backbone.out_type', backbone.out_type,
                     'what is trained', 'cls_token')
        if isinstance(self.data_preprocessor, ClipViewPreprocessor):
            self._check_views(self.data_preprocessor)

    def _check_views(self, views: ClipViewPreprocessor) -> None:
        """Compare sizes with the patch size, and count the views."""
        patch_size = self.backbone.patch_embed.projection.stride[0]
        for group in (views.global_views, views.local_views):
            if group.num and group.size % patch_size:
                raise ValueError(
                    f'model.data_preprocessor.{group.prefix}_views.size must '
                    f'be a multiple of the patch size, {patch_size}, but got '
                    f'{group.size}')
        if views.global_views.num < self.min_global_views:
            raise ValueError(
                'model.data_preprocessor.global_views.num must be at least '
                f'{self.min_global_views} for {type(self).__name__}, but got '
                f'{views.global_views.num}')

    def seed_step(self, seed: int) -> None:
        """Seed what the model draws in this step; nothing in DINO."""


def _build(name: str, settings: dict) -> nn.Module:
    with settings_of(f'model.{name}'):
        return MODELS.build(settings)


def _check_equal(key: str, value: Any, other: str, expected: Any) -> None:
    """Raise a ValueError with the keys of two settings that differ."""
    if value != expected:
        raise ValueError(
            f'{key} must be {expected!r}, {other}, but got {value!r}')
