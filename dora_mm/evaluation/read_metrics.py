"""What tools/evaluate_all.py has measured, by sequence."""
import json
from pathlib import Path
from typing import Dict, List

from .results_table import EVALUATIONS, Evaluation


def read_metrics(folder: Path, models: List[str]) -> Dict[str, dict]:
    """For each number of the table the values of models and sequences.

    Args:
        folder (Path): Where tools/evaluate_all.py has just been: what earlier
            calls have left in it may be of other models and data.
        models (list[str]): Names of the models.

    Returns:
        dict: Title to ``sequences`` (names) and ``values``, a dict of model
        to a list of a value a sequence.

    Raises:
        ValueError: If two models were evaluated on different sequences.
    """
    rows = json.loads((folder / 'results.json').read_text())['rows']
    items = {item.title: item for item in EVALUATIONS}
    found: Dict[str, dict] = {}
    for title in (row['title'] for row in rows):
        item = items[title]
        name = f'{item.config}_{Path(item.folder).stem}'
        parts = {
            model: _parts(item, folder / model / name / 'results.json')
            for model in models
        }
        names = list(parts[models[0]])
        for model, own in parts.items():
            other = sorted(set(own) ^ set(names))
            if other:
                raise ValueError(
                    f'{title} must be of the same sequences for all models, '
                    f'but got {", ".join(other)} for one of {models[0]} and '
                    f'{model} alone: remove {folder} to evaluate them again')
        found[title] = dict(
            sequences=names,
            values={
                model: [own[name] for name in names]
                for model, own in parts.items()
            })
    return found


def _parts(item: Evaluation, path: Path) -> Dict[str, float]:
    """Values by sequence; of an evaluation without any a single one."""
    metrics = json.loads(path.read_text())['metrics']
    if item.metric.endswith('-Mean'):
        # 'davis/J&F-Mean' is the mean over 'davis/J&F/NAME'.
        stem = item.metric[:-len('-Mean')] + '/'
        found = {
            key[len(stem):]: value
            for key, value in metrics.items() if key.startswith(stem)
        }
        if found:
            return found
    return dict(all=metrics[item.metric])
