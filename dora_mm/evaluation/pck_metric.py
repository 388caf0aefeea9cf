from typing import Any, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS


@METRICS.register_module()
class PCKMetric(BaseMetric):
    """Share of joints that are found, PCK, as videowalk measures it on JHMDB.

    A joint is found if it is at most a part of the size of the person away:
    0.6 times the diagonal of the box round the true joints of the frame. The
    first frame, which is given, and joints that are lost, whose place is
    negative, do not count. The number is the mean of those of the joints.

    Args:
        thresholds (Sequence[float]): Parts. Defaults to 0.1 and 0.2.
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str, optional): Of the names. Defaults to 'jhmdb'.
    """

    default_prefix = 'jhmdb'

    def __init__(self,
                 thresholds: Sequence[float] = (0.1, 0.2),
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.thresholds = thresholds

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Measure the distances of some videos.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``points`` and ``pred_points``,
                (T, J, 2), x and y in pixels.
        """
        for sample in data_samples:
            truth, found = sample['points'], sample['pred_points']
            lost = found[..., 0] < 0  # (T, J)
            known = np.ma.array(
                truth, mask=np.broadcast_to(lost[..., None], truth.shape))
            box = (known.max(1) - known.min(1)).filled(0)
            size = 0.6 * np.linalg.norm(box, axis=-1)
            away = np.linalg.norm(found - truth, axis=-1)
            # one joint alone has no size: it is found if it is right
            with np.errstate(divide='ignore', invalid='ignore'):
                away = np.where(away == 0, 0, away / size[:, None])
            away[lost] = np.nan
            self.results.append(away[1:])

    def compute_metrics(self, results: list) -> dict:
        """Pool the frames of each joint.

        Args:
            results (list[np.ndarray]): Distances (T - 1, J) of each video in
                sizes of the person, NaN where a joint does not count.

        Returns:
            dict[str, float]: ``PCK@0.1`` and ``PCK@0.2``, per cent.

        Raises:
            ValueError: If no joint counts.
        """
        away = np.concatenate(results)
        away = away[:, ~np.isnan(away).all(0)]
        if not away.size:
            raise ValueError('pred_points must have joints that are not lost, '
                             'but got none: check points of the first frames')
        counts = (~np.isnan(away)).sum(0)
        return {
            f'PCK@{limit}': 100 * float(((away <= limit).sum(0) /
                                         counts).mean())
            for limit in self.thresholds
        }  # yapf: disable
