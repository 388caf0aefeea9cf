from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from dora_mm.registry import METRICS
from .box_overlap import box_overlap


@METRICS.register_module()
class GOT10kMetric(BaseMetric):
    """AO, SR 0.5 and SR 0.75 of GOT-10k, in per cent.

    Mean overlap, and shares of frames with an overlap above the threshold, of
    all frames of all videos together; without the first frame, which is
    given, and without frames in which nothing of the object can be seen.
    Boxes are clipped to the picture.

    Args:
        out_dir (str, optional): Folder for ``VIDEO/VIDEO_001.txt``, the form
            that the benchmark's server takes. Defaults to None, no writing.
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str, optional): Of the names. Defaults to 'got10k'.
    """

    default_prefix = 'got10k'

    def __init__(self,
                 out_dir: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.out_dir = out_dir

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Compare the boxes of some videos.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_boxes`` and ``boxes``
                (T, 4), left, top, right, bottom; ``visible`` (T,), bool;
                ``name``; ``ori_shape``, height and width. Of the test split
                only the first box is known.
        """
        for sample in data_samples:
            found, truth = sample['pred_boxes'], sample['boxes']
            if self.out_dir is not None:
                self._write(sample['name'], found)
            height, width = sample['ori_shape']
            limit = np.array((width, height, width, height))
            known = min(len(found), len(truth))
            overlap = box_overlap(found[:known].clip(0, limit),
                                  truth[:known].clip(0, limit))
            seen = np.array(sample['visible'][:known])
            seen[:1] = False
            self.results.append(overlap[seen])

    def compute_metrics(self, results: list) -> dict:
        """Pool the frames.

        Args:
            results (list[np.ndarray]): Overlaps of each video.

        Returns:
            dict[str, float]: ``AO``, ``SR0.50``, ``SR0.75``; nothing where no
            truth is known.
        """
        overlap = np.concatenate(results)
        if not len(overlap):
            return {}
        return {
            'AO': 100 * float(overlap.mean()),
            'SR0.50': 100 * float((overlap > 0.5).mean()),
            'SR0.75': 100 * float((overlap > 0.75).mean())
        }

    def _write(self, name: str, boxes: np.ndarray) -> None:
        folder = Path(self.out_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        sizes = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
        np.savetxt(
            folder / f'{name}_001.txt', sizes, fmt='%.4f', delimiter=',')
