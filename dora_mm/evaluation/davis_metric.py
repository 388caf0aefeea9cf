from collections import OrderedDict
from pathlib import Path
from typing import Any, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from PIL import Image

from dora_mm.registry import METRICS
from .mask_accuracy import contour_accuracy, region_similarity

VOID = 255  # pixels of a true mask that do not count


@METRICS.register_module()
class DAVISMetric(BaseMetric):
    """J, F and J&F of semi-supervised video object segmentation.

    As in the DAVIS benchmark: the first frame, which is given, and the last
    one do not count; an object's J and F are means over its frames, the
    numbers means over all objects of all videos. Recall is the share of
    frames above 0.5, decay what the first quarter has more than the last.
    Pixels that the truth leaves void, 255, do not count. Videos of which only
    the first mask is known, as in a test split, give files and no numbers.

    Args:
        out_dir (str, optional): Folder to write the masks to, as PNG with
            ids. Defaults to None, no writing.
        collect_device (str): See mmengine. Defaults to 'cpu'.
        prefix (str, optional): Of the names. Defaults to 'davis'.
    """

    default_prefix = 'davis'

    def __init__(self,
                 out_dir: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.out_dir = out_dir

    def process(self, data_batch: Any,
                data_samples: Sequence[dict]) -> None:
        """Compare the masks of some videos.

        Args:
            data_batch: Not used.
            data_samples (Sequence[dict]): ``pred_masks``, uint8 (T, H, W),
                ``true_masks``, a sequence that reads the true mask of a
                frame, of T frames or of the first, ``first_mask``, ``name``
                and ``frame_names``.
        """
        for sample in data_samples:
            found = sample['pred_masks']
            if self.out_dir is not None:
                self._write(sample['name'], sample['frame_names'], found)
            if len(sample['true_masks']) < len(found):
                # one result for each video, also where nothing is known
                self.results.append((sample['name'], {}))
                continue
            objects = [i for i in np.unique(sample['first_mask']) if i]
            scores = {int(i): ([], []) for i in objects}
            for t in range(1, len(found) - 1):
                truth = sample['true_masks'][t]
                counted = truth != VOID
                for i in scores:
                    pair = ((found[t] == i) & counted, truth == i)
                    scores[i][0].append(region_similarity(*pair))
                    scores[i][1].append(contour_accuracy(*pair))
            self.results.append((sample['name'], scores))

    def compute_metrics(self, results: list) -> dict:
        """Average over the objects.

        Args:
            results (list): Pairs of a video's name and, for each object,
                J and F of every frame.

        Returns:
            dict[str, float]: In per cent, the whole and each video; nothing
            where no truth is known.
        """
        results = [(name, scores) for name, scores in results if scores]
        if not results:
            return {}
        metrics, means = OrderedDict(), {}
        objects = [pair for _, scores in results for pair in scores.values()]
        for i, name in enumerate('JF'):
            values = [np.array(pair[i]) for pair in objects]
            means[name] = np.mean([v.mean() for v in values])
            metrics[f'{name}-Mean'] = means[name]
            metrics[f'{name}-Recall'] = np.mean([(v > 0.5).mean()
                                                 for v in values])
            metrics[f'{name}-Decay'] = np.mean([_decay(v) for v in values])
        metrics = OrderedDict({'J&F-Mean': (means['J'] + means['F']) / 2},
                              **metrics)
        for name, scores in sorted(results, key=lambda result: result[0]):
            metrics[f'J&F/{name}'] = np.mean(
                [np.mean(values) for pair in scores.values()
                 for values in pair])  # yapf: disable
        return {name: 100 * float(value) for name, value in metrics.items()}

    def _write(self, name: str, frame_names: Sequence[str],
               masks: np.ndarray) -> None:
        folder = Path(self.out_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        for frame, mask in zip(frame_names, masks):
            Image.fromarray(mask).save(folder / f'{frame}.png')


def _decay(values: np.ndarray) -> float:
    """Mean of the first quarter of the frames minus that of the last.

    The benchmark's quarters share the frames at their ends.
    """
    edges = np.round(np.linspace(0, len(values) - 1, 5) + 1e-10).astype(int)
    return values[:edges[1] + 1].mean() - values[edges[3]:].mean()
