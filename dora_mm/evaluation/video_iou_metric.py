from typing import Any, Sequence

import torch

from dora_mm.registry import METRICS
from .iou_metric import IoUMetric


@METRICS.register_module()
class VideoIoUMetric(IoUMetric):
    """:class:`IoUMetric` of the masks of whole videos.

    All frames count, the first one with its given mask as well, as in the
    evaluation of VIP.

    Args:
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str): Of the names. Defaults to 'vip'.
    """

    default_prefix = 'vip'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of some videos.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_masks`` and ``true_masks``,
                uint8 (T, H, W), and ``num_classes``.
        """
        for sample in data_samples:
            for masks in zip(sample['pred_masks'], sample['true_masks']):
                pred, mask = (torch.from_numpy(m).long() for m in masks)
                super().process(data_batch, [
                    dict(
                        pred=pred,
                        mask=mask,
                        num_classes=sample['num_classes'])
                ])
