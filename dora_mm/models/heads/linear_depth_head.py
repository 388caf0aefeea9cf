# Letters: B images, D channels, K bins, h w patches, H W pixels.
from typing import Any, Dict, List, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from dora_mm.registry import MODELS


@MODELS.register_module()
class LinearDepthHead(BaseModule):
    """Depth from one linear layer, a head of mmseg's ``DepthEstimator``.

    The protocol of dinov3, ``eval/depth``, ``config-nyu.yaml``: batch norm and
    a 1x1 convolution on the last level give K scores; their positive parts,
    plus 0.1, are the weights of K depths at equal distances, whose mean is the
    depth. It is enlarged bilinearly. The loss is scale-invariant up to a part,

        g = log(prediction + 0.001) - log(truth + 0.001),
        loss = sqrt(var(g) + 0.15 mean(g)^2),

    over all pixels of the batch whose depth is known, at first without the
    variance.

    Args:
        in_channels (int): D.
        num_bins (int): K. Defaults to 256.
        min_depth, max_depth (float): Metres. Defaults to 0.001 and 10.
        warmup_iters (int): Steps without the variance. Defaults to 100.
        init_cfg (dict, optional): Initialisation. Defaults to dinov3's: normal
            with std 0.01, bias 0.

    Raises:
        ValueError: If a number is out of range.
    """
    # what DepthEstimator asks of its head
    align_corners = False
    num_classes = out_channels = 1

    def __init__(self,
                 in_channels: int,
                 num_bins: int = 256,
                 min_depth: float = 0.001,
                 max_depth: float = 10.,
                 warmup_iters: int = 100,
                 init_cfg: dict = dict(
                     type='Normal', layer='Conv2d', std=0.01)
                 ) -> None:
        super().__init__(init_cfg)
        if num_bins < 2:
            raise ValueError(f'num_bins must be at least 2, but got {num_bins}'
                             ': dinov3 takes 256')
        if not 0 < min_depth < max_depth:
            raise ValueError(
                'min_depth must be above 0 and below max_depth, but got '
                f'{min_depth} and {max_depth}: NYU takes 0.001 and 10')
        self.warmup_iters = warmup_iters
        self.norm = nn.SyncBatchNorm(in_channels)
        self.score = nn.Conv2d(in_channels, num_bins, 1)
        self.register_buffer('depths',
                             torch.linspace(min_depth, max_depth, num_bins))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Depth of the patches.

        Args:
            feats (Sequence[Tensor]): Levels, of which the last one counts,
                (B, D, h, w).

        Returns:
            Tensor: (B, 1, h, w), float32, metres.
        """
        weights = self.score(self.norm(feats[-1])).float().relu() + 0.1
        weights = weights / weights.sum(1, keepdim=True)  # (B, K, h, w)
        return torch.einsum('bkhw,k->bhw', weights, self.depths)[:, None]

    def predict(self, feats: Sequence[Tensor], batch_img_metas: List[dict],
                test_cfg: Any) -> Tensor:
        """Depth of the pixels.

        Args:
            feats (Sequence[Tensor]): See :meth:`forward`.
            batch_img_metas (list[dict]): With ``img_shape``.
            test_cfg: Not used.

        Returns:
            Tensor: (B, 1, H, W), float32, metres.
        """
        return self._enlarge(self(feats), batch_img_metas[0]['img_shape'][:2])

    def loss(self, feats: Sequence[Tensor], batch_data_samples: List,
             train_cfg: Any) -> Dict[str, Tensor]:
        """Error of the logarithms.

        Args:
            feats (Sequence[Tensor]): See :meth:`forward`.
            batch_data_samples (list): With ``gt_depth_map``, whose data are
                (1, H, W), metres, 0 where the depth is not known.
            train_cfg: Not used.

        Returns:
            dict[str, Tensor]: ``loss_depth``, a scalar.

        Raises:
            ValueError: If no depth of the batch is known.
        """
        truth = torch.stack(
            [sample.gt_depth_map.data for sample in batch_data_samples])
        known = truth > 0
        if not known.any():
            raise ValueError(
                'gt_depth_map must have depths above 0, but got none in '
                f'{len(truth)} images: check depth_rescale_factor and files')
        depth = self._enlarge(self(feats), truth.shape[2:])
        error = ((depth[known] + 1e-3) / (truth[known] + 1e-3)).log()
        loss = 0.15 * error.mean()**2
        if self.steps >= self.warmup_iters:
            loss = loss + error.var()
        self.steps += 1
        # the root has no slope at 0
        return dict(loss_depth=loss.clamp(min=1e-12).sqrt())

    @staticmethod
    def _enlarge(depth: Tensor, size: Sequence[int]) -> Tensor:
        return F.interpolate(
            depth, tuple(size), mode='bilinear', align_corners=False)
