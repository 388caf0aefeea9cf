from typing import Any, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS
from .box_overlap import box_overlap


@METRICS.register_module()
class CorLocMetric(BaseMetric):
    """Share of images whose box meets a true one: CorLoc, in per cent.

    A box is right if its intersection over union with any true box is at
    least 0.5.

    Args:
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str): Of the name. Defaults to 'lost'.
    """

    default_prefix = 'lost'

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Compare the boxes of some images.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_box`` (4,) and ``boxes``
                (G, 4), left, top, right, bottom in pixels.
        """
        for sample in data_samples:
            overlap = box_overlap(sample['pred_box'], sample['boxes'])
            self.results.append(bool((overlap >= 0.5).any()))

    def compute_metrics(self, results: list) -> dict:
        """Average over the images.

        Args:
            results (list[bool]): Whether a box is right.

        Returns:
            dict[str, float]: ``CorLoc``.
        """
        return dict(CorLoc=100 * float(np.mean(results)))
