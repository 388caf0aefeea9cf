# Letters: R learning rates, C classes, K values of topk.
from typing import Any, Dict, List, Sequence

import torch
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS


@METRICS.register_module()
class SweepAccuracy(BaseMetric):
    """Accuracy of each classifier of a ``LinearSweepHead``, and the best.

    As in DINO and iBOT the best learning rate is picked on the images that
    are reported, so the number is slightly in favour of the method.

    Args:
        learning_rates (Sequence[float]): One for each classifier, for names.
        topk (Sequence[int]): Defaults to (1, 5).
        collect_device (str): See mmengine's BaseMetric. Defaults to 'cpu'.
        prefix (str): Of the names of the results. Defaults to 'sweep'.
    """

    def __init__(self,
                 learning_rates: Sequence[float],
                 topk: Sequence[int] = (1, 5),
                 collect_device: str = 'cpu',
                 prefix: str = 'sweep') -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.learning_rates = tuple(learning_rates)
        self.topk = tuple(topk)

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Keep for each image which classifiers are right.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): With ``sweep_logits`` (R, C) and
                ``gt_label`` (1, ).

        Raises:
            ValueError: If there is not one learning rate for each classifier.
        """
        for sample in data_samples:
            logits = sample['sweep_logits']
            if len(logits) != len(self.learning_rates):
                raise ValueError(
                    'learning_rates must have a value for each classifier of '
                    f'the head, {len(logits)}, but got '
                    f'{len(self.learning_rates)}: make them equal')
            ranked = logits.topk(min(max(self.topk), logits.shape[1])).indices
            right = (ranked == sample['gt_label'].to(ranked)).cpu()
            self.results.append(
                torch.stack([right[:, :k].any(1) for k in self.topk]))

    def compute_metrics(self, results: List[torch.Tensor]) -> Dict[str, float]:
        """Percentages over all images.

        Args:
            results (list[Tensor]): (K, R) of bool for each image.

        Returns:
            dict[str, float]: ``top1_lr<rate>``, ``top1_best`` ..., in
            percent, and ``best_lr``, the rate of the best ``topk[0]``.
        """
        accuracy = 100 * torch.stack(results).float().mean(0)  # (K, R)
        metrics = dict()
        for k, row in zip(self.topk, accuracy.tolist()):
            metrics.update({
                f'top{k}_lr{rate:g}': value
                for rate, value in zip(self.learning_rates, row)
            })
            metrics[f'top{k}_best'] = max(row)
        best = int(accuracy[0].argmax())
        metrics['best_lr'] = self.learning_rates[best]
        return metrics
