from typing import Any, Dict, List, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS
from .box_overlap import box_overlap


@METRICS.register_module()
class DiscoveryMetric(BaseMetric):
    """CorLoc and Jaccard of the boxes of several protocols, in per cent.

    CorLoc is the share of images whose box has an intersection over union of
    at least 0.5 with any true box, Jaccard the mean over the images of the
    largest one. (Of masks the paper may mean another Jaccard; it does not
    say.)

    Args:
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str): Of the names. Defaults to 'discovery'.
    """

    default_prefix = 'discovery'

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Compare the boxes of some images.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_boxes``, a dict of protocol
                to (4,), and ``boxes`` (G, 4), left, top, right, bottom in
                pixels.
        """
        for sample in data_samples:
            self.results.append({
                name:
                float(box_overlap(box, sample['boxes']).max())
                for name, box in sample['pred_boxes'].items()
            })

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Average over the images.

        Args:
            results (list[dict]): Protocol to the largest overlap.

        Returns:
            dict[str, float]: ``PROTOCOL_CorLoc`` and ``PROTOCOL_Jaccard``.
        """
        metrics = {}
        for name in results[0]:
            overlap = np.array([result[name] for result in results])
            metrics[f'{name}_CorLoc'] = 100 * float((overlap >= 0.5).mean())
            metrics[f'{name}_Jaccard'] = 100 * float(overlap.mean())
        return metrics
