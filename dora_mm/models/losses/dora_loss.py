# Letters: B clips, T frames, V global views, L local views, K objects,
# P logits, C channels of the last layer's input.
from typing import Dict, List, Optional, Tuple

import torch
from mmengine.dist import all_reduce
from mmengine.model import BaseModule
from torch import Tensor

from dora_mm.registry import MODELS
from dora_mm.utils.check_temperature import check_temperature
from ..utils.chunked_logsumexp import chunked_logsumexp
from ..utils.setting_checks import check_prob


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

    The student's logits, (V K + L) B T P of them, never exist at once. They
    are ``s = W z / student_temp`` of features z, so that
    ``H(p, s) = logsumexp(s) - <p, s> = logsumexp(s) - <W^T p, z> /
    student_temp``: the first term is computed in chunks, the second without
    logits, and only the teacher's probabilities, once a step, have P values a
    frame.

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
        mean_over_pairs (bool): Weigh the two terms by their numbers of pairs
            of views besides, V (V - 1) to V L, so that the loss is one mean
            over all pairs, as in DINO: for two global views 1 / (1 + L) and
            L / (1 + L). The numbers are those of the views that the loss is
            given. Defaults to False.
        carry_frame_loss (bool): Reproduce the authors' running sum: the loss
            of an object is carried into the next one, divided by T, which
            weighs objects 0.380, 0.375, 0.333 (T = 8, K = 3) instead of 1/3
            each and the local term by their sum. Defaults to False.
        skip_first_local (bool): Leave out local view 0, which the authors'
            code computes and skips: see :meth:`select_local`. Defaults to
            False.
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If the momentum is not in [0, 1], or see
            :func:`check_temperature`.
    """

    center: Tensor  # (1, P)

    def __init__(self,
                 out_channels: int = 65536,
                 student_temp: float = 0.1,
                 teacher_temp: float = 0.04,
                 center_momentum: float = 0.9,
                 object_weight: float = 1.,
                 local_weight: float = 1.,
                 mean_over_pairs: bool = False,
                 carry_frame_loss: bool = False,
                 skip_first_local: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_temperature('student_temp', student_temp, 0.1)
        check_prob('center_momentum', center_momentum)
        self.student_temp = student_temp
        self.center_momentum = center_momentum
        self.object_weight = object_weight
        self.local_weight = local_weight
        self.mean_over_pairs = mean_over_pairs
        self.carry_frame_loss = carry_frame_loss
        self.skip_first_local = skip_first_local
        self.set_teacher_temp(teacher_temp)
        self.out_channels = out_channels
        self.register_buffer('center', torch.zeros(1, out_channels))

    def set_teacher_temp(self, teacher_temp: float) -> None:
        """Set the teacher's temperature, > 0."""
        check_temperature('teacher_temp', teacher_temp, 0.04)
        self.teacher_temp = teacher_temp

    def select_local(self, local: Tensor) -> Tensor:
        """The local views that the loss uses.

        Args:
            local (Tensor): (L, ...).

        Returns:
            Tensor: The same, without the first with ``skip_first_local``.
        """
        return local[self.skip_first_local:]

    def forward(self,
                teacher_logits: Tensor,
                object_features: Tensor,
                local_features: Optional[Tensor] = None,
                weight: Optional[Tensor] = None) -> Dict[str, Tensor]:
        """Compute the weighted terms; the centre is not touched.

        Args:
            teacher_logits (Tensor): (V, B, T, P).
            object_features (Tensor): Student, masked views (V, K, B, T, C).
            local_features (Tensor, optional): Student, the views that
                :meth:`select_local` keeps, (L, B, T, C).
            weight (Tensor, optional): (P, C) of the student's last layer,
                which makes logits of features. None if they are logits, C =
                P. Defaults to None.

        Returns:
            dict[str, Tensor]: Scalars ``loss_object`` and, with local views,
            ``loss_local``, float32, whose sum is the loss; and for the log
            ``teacher_entropy`` and ``kl`` (teacher against student, object
            term), in nats.
        """
        target = self.teacher_probs(teacher_logits)  # (V, B, T, P)
        # Autocast would round the products, and with them the loss, to half
        # precision; logsumexp's are so many that it may.
        with torch.autocast(target.device.type, enabled=False):
            if weight is not None:
                pulled = target @ weight.float()  # W^T p, (V, B, T, C)
            else:
                pulled = target
        features = [object_features]
        if local_features is not None:
            features.append(local_features)
        log_sums = self._log_sums(features, weight)

        object_ce = self._object_cross_entropy(pulled, object_features,
                                               log_sums[0])
        share = self._object_weights(
            len(object_ce), teacher_logits.shape[2], object_ce)
        object_weight, local_weight = self._term_weights(
            len(teacher_logits),
            0 if local_features is None else len(local_features))
        losses = dict(loss_object=object_weight * (share * object_ce).sum())
        if local_features is not None:
            local_ce = log_sums[1] - self._dot(pulled.mean(0), local_features)
            # Each object adds the same local loss, so it counts sum(share)
            # times: once, unless the frame loss is carried over.
            losses['loss_local'] = (
                local_weight * share.sum() * local_ce.mean())
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

    def _object_cross_entropy(self, pulled: Tensor, features: Tensor,
                              log_sums: Tensor) -> Tensor:
        """Mean over u != v, clips and frames.

        Args:
            pulled (Tensor): W^T p of the teacher, (V, B, T, C).
            features (Tensor): (V, K, B, T, C).
            log_sums (Tensor): (V, K, B, T).

        Returns:
            Tensor: (K,), float32.
        """
        if len(pulled) > 1:
            # H is linear in the target: the mean over u != v of H(p[u], s[v])
            # is H of the mean target of the other views.
            pulled = (pulled.sum(0) - pulled) / (len(pulled) - 1)
        dot = self._dot(pulled[:, None], features)
        return (log_sums - dot).mean((0, 2, 3))

    def _log_sums(self, features: List[Tensor],
                  weight: Optional[Tensor]) -> List[Tensor]:
        """logsumexp of the logits of features (..., C): (...), float32."""
        if weight is None:
            return [(f.float() / self.student_temp).logsumexp(-1)
                    for f in features]
        # As one, so that the last layer's gradient is made once.
        log_sums = chunked_logsumexp(
            torch.cat([f.flatten(0, -2) for f in features]), weight,
            1 / self.student_temp)
        sizes = [f[..., 0].numel() for f in features]
        return [
            part.view(f.shape[:-1])
            for part, f in zip(log_sums.split(sizes), features)
        ]

    def _dot(self, pulled: Tensor, features: Tensor) -> Tensor:
        """<p, s>, from (..., C) that broadcast: (...), float32."""
        return (pulled * features.float()).sum(-1) / self.student_temp

    def _term_weights(self, num_global: int,
                      num_local: int) -> Tuple[float, float]:
        """Weights of the object and of the local term, for V and L views."""
        if not self.mean_over_pairs:
            return self.object_weight, self.local_weight
        # Of each teacher view. A single global view is its own partner.
        partners = max(num_global - 1, 1)
        total = partners + num_local
        return (self.object_weight * partners / total,
                self.local_weight * num_local / total)

    def _object_weights(self, num_objects: int, num_frames: int,
                        like: Tensor) -> Tensor:
        """(K,) weights of the objects, 1 / K unless carried over."""
        weight = like.new_full((num_objects, ), 1 / num_objects)
        if self.carry_frame_loss:
            # Object k also counts 1/T, 1/T^2, ... in the objects after it.
            carried = float(num_frames)**-torch.arange(
                num_objects, device=like.device)
            weight = weight * carried.cumsum(0).flip(0)
        return weight
