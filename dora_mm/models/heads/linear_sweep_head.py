# Letters: B images, D channels of a level, R learning rates, C classes.
from typing import Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from dora_mm.registry import MODELS


@MODELS.register_module()
class LinearSweepHead(BaseModule):
    """Linear classifiers on the same features, to try learning rates at once.

    The protocol of DINO and iBOT: the [CLS] tokens of the last blocks are
    concatenated, and the best of a set of learning rates counts. The loss is
    the sum over the classifiers, so with a frozen backbone and an optimiser
    that works on each parameter by itself (SGD, no clipping) each classifier
    is trained as if it were alone. Their learning rates are set in the
    optimiser, by the names ``head.classifiers.<r>.``.

    Train it in float32: one classifier whose loss overflows would make the
    loss scaling of mixed precision skip the steps of all.

    Args:
        num_classes (int): C.
        in_channels (int): Channels of the concatenated levels.
        num_classifiers (int): R.
        init_cfg (dict, optional): Initialisation. Defaults to DINO's: normal
            with std 0.01, bias 0.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 num_classifiers: int,
                 init_cfg: Optional[dict] = dict(
                     type='Normal', layer='Linear', std=0.01)
                 ) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.classifiers = nn.ModuleList(
            nn.Linear(in_channels, num_classes)
            for _ in range(num_classifiers))

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Scores of every classifier.

        Args:
            feats (Sequence[Tensor]): One (B, D) per level.

        Returns:
            Tensor: Logits (R, B, C).

        Raises:
            ValueError: If the levels do not add up to ``in_channels``.
        """
        x = torch.cat(tuple(feats), dim=1)
        if x.shape[1] != self.in_channels:
            raise ValueError(
                f'feats must have in_channels={self.in_channels} together, '
                f'but got levels of {[feat.shape[1] for feat in feats]}: set '
                'in_channels, or out_indices of the backbone')
        return torch.stack([classify(x) for classify in self.classifiers])

    def loss(self, feats: Tuple[Tensor], data_samples: List[DataSample],
             **kwargs) -> Dict[str, Tensor]:
        """Sum of the cross-entropies; the least and the largest for the log.

        Args:
            feats (tuple[Tensor]): See :meth:`forward`.
            data_samples (list[DataSample]): With ``gt_label``.

        Returns:
            dict[str, Tensor]: ``loss``, ``best_ce``, ``worst_ce``, scalars.
        """
        target = torch.cat([sample.gt_label for sample in data_samples])
        ce = torch.stack(
            [F.cross_entropy(logits, target) for logits in self(feats)])
        return dict(
            loss=ce.sum(),
            best_ce=ce.detach().min(),
            worst_ce=ce.detach().max())

    def predict(
        self,
        feats: Tuple[Tensor],
        data_samples: Optional[List[Optional[DataSample]]] = None
    ) -> List[DataSample]:
        """Put the scores into data samples.

        Args:
            feats (tuple[Tensor]): See :meth:`forward`.
            data_samples (list[DataSample | None], optional): To add to.

        Returns:
            list[DataSample]: With ``sweep_logits`` (R, C).
        """
        logits = self(feats).transpose(0, 1)  # (B, R, C)
        samples = data_samples or [None] * len(logits)
        samples = [sample or DataSample() for sample in samples]
        for sample, each in zip(samples, logits):
            sample.set_field(each, 'sweep_logits')
        return samples
