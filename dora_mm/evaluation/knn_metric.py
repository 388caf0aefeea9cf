from collections import OrderedDict
from typing import Any, Sequence

import torch
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS


@METRICS.register_module()
class KNNMetric(BaseMetric):
    """Accuracy of nearest neighbours, for each number of neighbours.

    ``k20_top1`` is the share, in per cent, of images whose label gets the most
    votes of 20 neighbours, ``k20_top5`` of those where it is among the first
    five (with less than six classes it is left out). Variants have their name
    in front: ``patch_white_k20_top1``, see :class:`KNNVariants`.

    Args:
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str): Of the names. Defaults to 'knn'.
    """

    default_prefix = 'knn'

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Note the rank of the label among the votes.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``gt_label`` and ``votes``, a dict
                of a name, or a number k for 'k<k>', to (C,).
        """
        for sample in data_samples:
            ranks = {}
            for key, votes in sample['votes'].items():
                order = votes.argsort(descending=True, stable=True)
                place = (order == int(sample['gt_label'])).nonzero()
                ranks[key] = (int(place), len(votes))
            self.results.append(ranks)

    def compute_metrics(self, results: list) -> dict:
        """Average over the images.

        Args:
            results (list[dict]): Key to (rank from 0, number of classes).

        Returns:
            dict[str, float]: In per cent.
        """
        metrics = OrderedDict()
        for key in results[0]:
            name = f'k{key}' if isinstance(key, int) else key
            ranks = torch.tensor([result[key] for result in results])
            for top in (1, 5):
                if top == 1 or ranks[0, 1] > top:
                    share = (ranks[:, 0] < top).double().mean()
                    metrics[f'{name}_top{top}'] = 100 * float(share)
        return metrics
