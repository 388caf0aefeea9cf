from collections import OrderedDict
from typing import Any, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS

IGNORED = 255


@METRICS.register_module()
class IoUMetric(BaseMetric):
    """Mean intersection over union of classes, over all pixels together.

    Pixels with the label 255 do not count; a class that neither occurs nor is
    predicted is left out of the mean.

    Args:
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str): Of the names. Defaults to 'dense'.
    """

    default_prefix = 'dense'

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Count the pixels of some images.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred`` and ``mask``, int64
                (h, w), and ``num_classes``.
        """
        for sample in data_samples:
            classes = sample['num_classes']
            pred, mask = sample['pred'].flatten(), sample['mask'].flatten()
            counted = mask != IGNORED
            pairs = mask[counted] * classes + pred[counted]
            counts = torch.bincount(pairs, minlength=classes**2)
            self.results.append(counts.reshape(classes, classes).numpy())

    def compute_metrics(self, results: list) -> dict:
        """Add up the images.

        Args:
            results (list[np.ndarray]): (C, C), pixels by true and predicted
                class.

        Returns:
            dict[str, float]: ``mIoU`` and ``accuracy`` of the pixels, in per
            cent.
        """
        counts = np.sum(results, axis=0).astype(float)
        right = counts.diagonal()
        union = counts.sum(0) + counts.sum(1) - right
        there = union > 0
        return OrderedDict(
            mIoU=100 * float((right[there] / union[there]).mean()),
            accuracy=100 * float(right.sum() / counts.sum()))
