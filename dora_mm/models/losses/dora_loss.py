# Letters: B clips, T frames, V global views, L local views, K objects,
# P logits.
from typing import Dict, Optional

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from torch import Tensor

from dora_mm.registry import MODELS


@MODELS.register_module()
class DoRALoss(BaseModule):
    r"""Distillation of masked objects and of local views (eq. 8).

    As plain loops, with ``H(p, s)`` the cross-entropy::

        p[u] = softmax((teacher[u] - center) / teacher_temp)
        object = mean of H(p[u], student_object[v, k])
                 over views u != v, objects k, clips and frames
        local = mean of H(p[u], student_local[l])
                over views u, local views l, clips and frames
        loss = object_weight * object + local_weight * local

    With one global view, u and v are that view, as in the authors' code.

    ``H(p, s) = logsumexp(s) - <p, s>``, so no log-softmax is materialised.

    Args:
        out_channels (int): Number of logits, P. Defaults to 65536.
        student_temp (float): Softmax divisor of the student. Defaults to 0.1.
        teacher_temp (float): Softmax divisor of the teacher until
            :meth:`set_teacher_temp` changes it. Defaults to 0.04.
        center_momentum (float): Share of the old centre kept at each update,
            in [0, 1]. Defaults to 0.9.
        object_weight (float): Weight of the object term. Defaults to 1.
        local_weight (float): Weight of the local term. Defaults to 1. The
            authors' code has 0.5 for both.
        carry_frame_loss (bool): Reproduce the authors' running sum: the loss
            of an object is carried into the next one, divided by T, which
            weighs objects 0.380, 0.375, 0.333 (T = 8, K = 3) instead of 1/3
            each and the local term by their sum. Defaults to False.
        skip_first_local (bool): Leave out local view 0, which the authors'
            code computes and skips. Defaults to False.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If a temperature is not positive or the momentum is not
            in [0, 1].
    """

    center: Tensor  # (1, P)

    def __init__(self,
                 out_channels: int = 65536,
                 student_temp: float = 0.1,
                 teacher_temp: float = 0.04,
                 center_momentum: float = 0.9,
                 object_weight: float = 1.,
                 local_weight: float = 1.,
                 carry_frame_loss: bool = False,
                 skip_first_local: bool = False,
                 init_cfg=None) -> None:
        super().__init__(init_cfg)
        if student_temp <= 0:
            raise ValueError(f'student_temp must be > 0, got {student_temp}.')
        if not 0 <= center_momentum <= 1:
            raise ValueError(
                f'center_momentum must be in [0, 1], got {center_momentum}.')
        self.student_temp = student_temp
        self.center_momentum = center_momentum
        self.object_weight = object_weight
        self.local_weight = local_weight
        self.carry_frame_loss = carry_frame_loss
        self.skip_first_local = skip_first_local
        self.set_teacher_temp(teacher_temp)
        self.register_buffer('center', torch.zeros(1, out_channels))

    def set_teacher_temp(self, teacher_temp: float) -> None:
        """Set the teacher's temperature, > 0."""
        if teacher_temp <= 0:
            raise ValueError(f'teacher_temp must be > 0, got {teacher_temp}.')
        self.teacher_temp = teacher_temp

    def forward(self,
                teacher_logits: Tensor,
                object_logits: Tensor,
                local_logits: Optional[Tensor] = None) -> Dict[str, Tensor]:
        """Compute the weighted terms; the centre is not touched.

        Args:
            teacher_logits (Tensor): (V, B, T, P).
            object_logits (Tensor): Student, masked views (V, K, B, T, P).
            local_logits (Tensor, optional): Student, (L, B, T, P).

        Returns:
            dict[str, Tensor]: Scalars ``loss_object`` and, with local views,
            ``loss_local``, float32, whose sum is the loss; and for the log
            ``teacher_entropy`` and ``kl`` (teacher against student, object
            term), in nats.
        """
        target = self.teacher_probs(teacher_logits)  # (V, B, T, P)
        object_ce = self._object_cross_entropy(target, object_logits)
        weight = self._object_weights(
            len(object_ce), teacher_logits.shape[2], object_ce)
        losses = dict(loss_object=self.object_weight *
                      (weight * object_ce).sum())
        if local_logits is not None:
            local = local_logits[self.skip_first_local:]
            local_ce = self._cross_entropy(target.mean(0), local).mean()
            # Each object adds the same local loss, so it counts sum(weight)
            # times: once, unless the frame loss is carried over.
            losses['loss_local'] = self.local_weight * weight.sum() * local_ce
        with torch.no_grad():
            entropy = torch.special.entr(target).sum(-1).mean()
            losses['teacher_entropy'] = entropy
            losses['kl'] = object_ce.mean() - entropy
        return losses

    @torch.no_grad()
    def teacher_probs(self, teacher_logits: Tensor) -> Tensor:
        """Centre and sharpen logits (..., P) to float32 probabilities."""
        centered = teacher_logits.float() - self.center
        return (centered / self.teacher_temp).softmax(-1)

    @torch.no_grad()
    def update_center(self, teacher_logits: Tensor) -> None:
        """Move the centre towards the mean logits of all ranks.

        Args:
            teacher_logits (Tensor): (..., P), as many rows on every rank.
        """
        mean = teacher_logits.float().flatten(0, -2).mean(0, keepdim=True)
        all_reduce(mean, op='mean')
        self.center.lerp_(mean, 1 - self.center_momentum)

    def _object_cross_entropy(self, target: Tensor,
                              object_logits: Tensor) -> Tensor:
        """Mean over u != v, clips and frames: (V, B, T, P) and
        (V, K, B, T, P) to (K,)."""
        num_views = len(target)
        if num_views == 1:
            return self._cross_entropy(target[0], object_logits[0]).mean(
                (1, 2))
        # H is linear in the target: the mean over u != v of H(p[u], s[v]) is
        # H of the mean target of the other views.
        others = (target.sum(0) - target) / (num_views - 1)
        terms = [
            self._cross_entropy(others[v], object_logits[v]).mean((1, 2))
            for v in range(num_views)
        ]
        return torch.stack(terms).mean(0)

    def _cross_entropy(self, target: Tensor, logits: Tensor) -> Tensor:
        """H(target, softmax(logits / student_temp)).

        Args:
            target (Tensor): (B, T, P), sums to 1.
            logits (Tensor): (M, B, T, P).

        Returns:
            Tensor: (M, B, T), float32.
        """
        # Autocast would round the product, and with it the loss, to half
        # precision.
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.float() / self.student_temp
            dot = torch.einsum('btp,mbtp->mbt', target, logits)
            return logits.logsumexp(-1) - dot

    def _object_weights(self, num_objects: int, num_frames: int,
                        like: Tensor) -> Tensor:
        """(K,) weights of the objects, 1 / K unless carried over."""
        weight = like.new_full((num_objects, ), 1 / num_objects)
        if self.carry_frame_loss:
            # Object k also counts 1/T, 1/T^2, ... in the objects after it.
            carried = float(num_frames)**-torch.arange(num_objects)
            weight = weight * carried.to(weight).cumsum(0).flip(0)
        return weight
