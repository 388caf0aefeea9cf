"""Train configs with several seeds, evaluate all, and compare.

    python tools/ablate.py dino=configs/dino/vit-t16_demo.py \
        dora=configs/dora/vit-t16_demo.py --untrained dora --seeds 0 1 2 \
        --data data --only davis2016 knn_cifar10-mini

Each config is an arm, NAME=CONFIG; NAME=colour is the descriptor that knows
colours only. --untrained adds arms of the random weights that configs start
from. The first is the reference: the table has means and their spread over
seeds, and differences from the reference, paired over the sequences of a video
benchmark; a difference below two standard deviations of the seeds is called
none. One seed of all arms is trained and evaluated before the next; where
trainings fail, the others of the seed are finished before it ends. May be
killed: the same command goes on where it stopped. Evaluations are those of
tools/evaluate_all.py. Written to --out-dir after each seed: ablation.txt and
ablation.json.
"""
import argparse
import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.newest_checkpoint import newest_checkpoint
from dora_mm.utils.number_options import integer
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.run_main import run_main
from dora_mm.utils.run_side_by_side import run_program, run_side_by_side
from dora_mm.utils.shipped_configs import find_config
from dora_mm.utils.write_json import write_json

TOOLS = Path(__file__).resolve().parent


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('arms', nargs='+', metavar='NAME=CONFIG')
    parser.add_argument(
        '--untrained',
        nargs='+',
        default=[],
        metavar='NAME',
        help='arms whose random weights become an arm as well')
    parser.add_argument(
        '--seeds', nargs='+', type=integer(0), default=[0, 1, 2])
    parser.add_argument('--data', required=True, help='folder of data sets')
    parser.add_argument(
        '--only', nargs='+', help='evaluations to run, such as davis2016')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override settings of every arm')
    parser.add_argument(
        '--evaluation-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override settings of every evaluation')
    parser.add_argument(
        '--jobs',
        type=integer(1),
        default=1,
        help='runs, and then evaluations, side by side (default: 1); with '
        'more, what they print is in their folders alone')
    parser.add_argument('--out-dir', default='work_dirs/ablation')
    args = parser.parse_args(args)
    named = [text.partition('=')[::2] for text in args.arms]
    args.arms = dict(named)
    if len(args.arms) < len(named) or not all(args.arms.values()):
        parser.error('arms must be NAME=CONFIG with a name of each, but got '
                     f'{named}')
    unknown = sorted(
        name for name in args.untrained
        if args.arms.get(name, 'colour') == 'colour')
    if unknown:
        parser.error(f'--untrained must name arms with configs, but got '
                     f'{unknown}')
    if len(set(args.seeds)) < len(args.seeds):
        parser.error(f'--seeds must differ, but got {args.seeds}')
    return args


def run_config(args: argparse.Namespace, name: str, seed: int) -> Path:
    """Write the config of one run: the arm's with seed and options."""
    from dora_mm.engine.merge_options import merge_options
    cfg = read_config(find_config(args.arms[name]))
    merge_options(cfg, args.cfg_options)
    cfg.merge_from_dict(dict(randomness=dict(seed=seed)))
    # A changed config is another run, and an equal one the same file.
    digest = hashlib.sha256(cfg.pretty_text.encode()).hexdigest()[:8]
    folder = Path(args.out_dir) / 'runs' / f'{name}_s{seed}_{digest}'
    path = folder / 'config.py'
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            cfg.dump(file.temporary)
    return path


def train(config: Path, quiet: bool) -> Path:
    """Train one run, or take what it gave; its last checkpoint.

    What it prints is not shown where ``quiet``.
    """
    folder = config.parent / 'training'
    stamp = config.parent / 'trained.json'
    if not stamp.is_file():
        # In one piece, as others print beside it.
        print(f'{config.parent.name}: training\n', end='', flush=True)
        command = [
            sys.executable, TOOLS / 'train.py', config, '--work-dir', folder,
            '--resume'
        ]
        if run_program(command, quiet):
            raise RuntimeError(f'the training of {config.parent.name} failed: '
                               f'see above and {folder}')
        write_json(stamp, dict(checkpoint=newest_checkpoint(folder).name))
    return folder / json.loads(stamp.read_text())['checkpoint']


def evaluate(args: argparse.Namespace, arms: Dict[str, Dict[str,
                                                            str]]) -> Path:
    """Evaluate all models by tools/evaluate_all.py; the folder of results."""
    models = {
        name: path
        for arm in arms.values()
        for name, path in arm.items()
    }
    out = Path(args.out_dir) / 'evaluation'
    command = [
        sys.executable, TOOLS / 'evaluate_all.py', *models.values(), '--names',
        *models, '--data', args.data, '--jobs', args.jobs, '--out-dir', out
    ]
    if args.only:
        command += ['--only', *args.only]
    if args.evaluation_options:
        command += ['--cfg-options', *args.evaluation_options]
    if run_program(command):
        raise RuntimeError('an evaluation failed: see above')
    return out


def read_metrics(folder: Path, models: List[str]) -> Dict[str, dict]:
    """For each number of the table the values of models and sequences.

    Returns:
        dict: Title to ``sequences`` (names) and ``values``, a dict of model
        to a list of a value a sequence.
    """
    from dora_mm.evaluation.results_table import EVALUATIONS
    found: Dict[str, dict] = {}
    for item in EVALUATIONS:
        name = f'{item.config}_{Path(item.folder).stem}'
        files = [folder / model / name / 'results.json' for model in models]
        if not all(file.is_file() for file in files):
            continue
        values = {}
        for model, file in zip(models, files):
            metrics = json.loads(file.read_text())['metrics']
            # 'davis/J&F-Mean' is the mean over 'davis/J&F/NAME'.
            stem = item.metric.rpartition('-Mean')[0] + '/'
            parts = {
                key[len(stem):]: value
                for key, value in metrics.items() if key.startswith(stem)
            } if item.metric.endswith('-Mean') else {}
            parts = parts or dict(all=metrics[item.metric])
            values[model] = list(parts.values())
        found[item.title] = dict(sequences=list(parts), values=values)
    return found


def compare(args: argparse.Namespace, folder: Path,
            arms: Dict[str, Dict[str, str]]) -> None:
    """Write the tables of arms, each a dict of its models' names to files."""
    import numpy as np

    from dora_mm.evaluation.compare_arms import arms_table, compare_arms
    models = [name for arm in arms.values() for name in arm]
    first = next(iter(arms))
    tables, metrics = [], {}
    for title, found in read_metrics(folder, models).items():
        values = {
            arm: np.array([found['values'][model] for model in named])
            for arm, named in arms.items()
        }
        gaps = {
            arm: compare_arms(array, values[first])
            for arm, array in values.items() if arm != first
        }
        tables.append(arms_table(title, values, found['sequences']))
        metrics[title] = dict(
            sequences=found['sequences'],
            values={
                arm: array.tolist()
                for arm, array in values.items()
            },
            differences={
                arm: dict(gap._asdict(), verdict=gap.verdict)
                for arm, gap in gaps.items()
            })
    text, out = '\n\n'.join(tables), Path(args.out_dir)
    write_json(out / 'ablation.json', dict(arms=arms, metrics=metrics))
    (out / 'ablation.txt').write_text(text + '\n')
    print(text)
    print(f'written to {out}')


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(argv)
    check_output_folder('--out-dir', args.out_dir)
    arms: Dict[str, Dict[str, str]] = {name: {} for name in args.arms}
    arms.update((f'{name}-untrained', {}) for name in args.untrained)
    for seed in args.seeds:
        configs = {}
        for name, source in args.arms.items():
            if source == 'colour':
                arms[name] = {name: source}
                continue
            configs[name] = run_config(args, name, seed)
            if name in args.untrained:
                untrained = f'{name}-untrained'
                arms[untrained][f'{untrained}_s{seed}'] = str(configs[name])
        checkpoints = run_side_by_side(
            [partial(train, path, args.jobs > 1) for path in configs.values()],
            args.jobs)
        for name, path in zip(configs, checkpoints):
            arms[name][f'{name}_s{seed}'] = str(path)
        compare(args, evaluate(args, arms), arms)


if __name__ == '__main__':
    run_main(main)
