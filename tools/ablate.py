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
trainings fail, the others of the seed are finished before it ends. Where an
evaluation fails, the others are compared and the next seed is trained. What
tools/train.py would refuse is refused before anything is trained. May be
killed: the same command goes on where it stopped. Evaluations are those of
tools/evaluate_all.py, and so are --data, --only and --evaluation-options.
Written to --out-dir after each seed: ablation.txt and ablation.json.
"""
import argparse
import hashlib
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional, Sequence, Tuple

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.check_output import check_folder_name, check_output_folder
from dora_mm.utils.hold_folder import hold_folder
from dora_mm.utils.newest_checkpoint import newest_checkpoint
from dora_mm.utils.number_options import integer
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.read_json import read_json
from dora_mm.utils.run_main import run_main
from dora_mm.utils.run_side_by_side import run_program, run_side_by_side
from dora_mm.utils.shipped_configs import find_config
from dora_mm.utils.write_json import write_json
from dora_mm.utils.write_text import write_text

if TYPE_CHECKING:
    from mmengine.config import Config

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
        metavar='[CONFIG:]KEY=VALUE',
        help='override settings of every evaluation, or of one')
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
    for name, config in named:
        check_folder_name('arms', name)
        try:
            args.arms[name] = find_config(config)
        except argparse.ArgumentTypeError as error:
            parser.error(f'{name}: {error}')
    unknown = sorted(
        name for name in args.untrained
        if args.arms.get(name, 'colour') == 'colour')
    if unknown:
        parser.error(f'--untrained must name arms with configs, but got '
                     f'{unknown}')
    if len(set(args.seeds)) < len(args.seeds):
        parser.error(f'--seeds must differ, but got {args.seeds}')
    check_model_names(args)
    return args


def untrained_of(name: str) -> str:
    """The arm of the random weights that an arm starts from."""
    return f'{name}-untrained'


def check_model_names(args: argparse.Namespace) -> None:
    """Refuse arms whose results would lie in one folder.

    Raises:
        ValueError: Naming it.
    """
    arms = [*args.arms, *map(untrained_of, args.untrained)]
    models = list(arms)
    for arm in arms:
        if args.arms.get(arm) != 'colour':
            models.remove(arm)
            models += [f'{arm}_s{seed}' for seed in args.seeds]
    for name in (*arms, *models):
        if arms.count(name) > 1 or models.count(name) > 1:
            raise ValueError('arms must have names that stay different with '
                             f'their seeds, but got {name} twice: rename one')


def plan_run(args: argparse.Namespace, name: str,
             seed: int) -> Tuple[Path, 'Config']:
    """Where the config of one run is written, and the config.

    It is the arm's, with seed and options.
    """
    from dora_mm.engine.merge_options import merge_options
    cfg = read_config(args.arms[name])
    merge_options(cfg, args.cfg_options)
    cfg.merge_from_dict(dict(randomness=dict(seed=seed)))
    # A changed config is another run, and an equal one the same file.
    digest = hashlib.sha256(cfg.pretty_text.encode()).hexdigest()[:8]
    folder = Path(args.out_dir) / 'runs' / f'{name}_s{seed}_{digest}'
    return folder / 'config.py', cfg


def plan_arm(args: argparse.Namespace,
             name: str) -> Dict[int, Tuple[Path, 'Config']]:
    """What :func:`plan_run` gives for each seed of an arm.

    An arm that tools/train.py would refuse when its turn comes is refused.

    Raises:
        ValueError: Naming the arm, with what tools/train.py says.
    """
    train = runpy.run_path(str(TOOLS / 'train.py'))
    options = train['parse_args']([args.arms[name]])
    # Of the seeds only the size can be wrong.
    options.cfg_options = {
        **(args.cfg_options or {}), 'randomness.seed': max(args.seeds)
    }
    try:
        plans = {seed: plan_run(args, name, seed) for seed in args.seeds}
        # What has been trained needs its videos no more.
        if not all(trained(path) for path, _ in plans.values()):
            train['prepare'](options)
    except (OSError, ValueError) as error:
        raise ValueError(f'arm {name}: {error}') from error
    return plans


def write_config(path: Path, cfg: 'Config') -> Path:
    """Write the config of one run, if it is not there; its file."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            cfg.dump(file.temporary)
    return path


def trained(config: Path) -> Optional[Path]:
    """The last checkpoint of a run that has ended, if it has one."""
    known = read_json(config.parent / 'trained.json') or {}
    path = config.parent / 'training' / known.get('checkpoint', '')
    return path if path.is_file() else None


def train(config: Path, quiet: bool) -> Path:
    """Train one run, or take what it gave; its last checkpoint.

    What it prints is not shown where ``quiet``.
    """
    folder, found = config.parent / 'training', trained(config)
    if found is None:
        # In one piece, as others print beside it.
        print(f'{config.parent.name}: training\n', end='', flush=True)
        command = [
            sys.executable, TOOLS / 'train.py', config, '--work-dir', folder,
            '--resume'
        ]
        if run_program(command, quiet):
            raise RuntimeError(f'the training of {config.parent.name} failed: '
                               f'see above and {folder}')
        found = newest_checkpoint(folder)
        write_json(config.parent / 'trained.json', dict(checkpoint=found.name))
    return found


def evaluate(args: argparse.Namespace, arms: Dict[str, Dict[str,
                                                            str]]) -> bool:
    """Evaluate all models by tools/evaluate_all.py, and compare them.

    Returns:
        bool: Whether nothing failed; what did is left out of the tables.
    """
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
    (out / 'results.json').unlink(missing_ok=True)  # of an earlier call
    failed = run_program(command)
    if (out / 'results.json').is_file():
        compare(args, out, arms)
    return not failed


def compare(args: argparse.Namespace, folder: Path,
            arms: Dict[str, Dict[str, str]]) -> None:
    """Write the tables of arms, each a dict of its models' names to files."""
    import numpy as np

    from dora_mm.evaluation.compare_arms import arms_table, compare_arms
    from dora_mm.evaluation.read_metrics import read_metrics
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
    write_text(out / 'ablation.txt', text + '\n')
    print(text)
    print(f'written to {out}')


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(argv)
    # Imported here: a tool's --help needs no torch.
    from dora_mm.apis.evaluation_plan import plan_evaluations
    check_output_folder('--out-dir', args.out_dir)
    plan_evaluations(args.data, args.only, args.evaluation_options,
                     '--evaluation-options')
    plans = {
        name: plan_arm(args, name)
        for name, source in args.arms.items() if source != 'colour'
    }
    with hold_folder('--out-dir', args.out_dir):
        ablate(args, plans)


def ablate(args: argparse.Namespace,
           plans: Dict[str, Dict[int, Tuple[Path, 'Config']]]) -> None:
    """Train, evaluate and compare the runs of :func:`plan_arm`."""
    arms: Dict[str, Dict[str, str]] = {name: {} for name in args.arms}
    arms.update((untrained_of(name), {}) for name in args.untrained)
    for name, source in args.arms.items():
        if source == 'colour':
            arms[name] = {name: source}
    configs = {
        seed: {
            name: write_config(*runs[seed])
            for name, runs in plans.items()
        }
        for seed in args.seeds
    }
    is_whole = True
    for seed, later in zip(args.seeds, [*args.seeds[1:], None]):
        checkpoints = run_side_by_side([
            partial(train, path, args.jobs > 1)
            for path in configs[seed].values()
        ], args.jobs)
        for name, path in zip(configs[seed], checkpoints):
            arms[name][f'{name}_s{seed}'] = str(path)
        for name in args.untrained:
            untrained = untrained_of(name)
            arms[untrained][f'{untrained}_s{seed}'] = str(configs[seed][name])
        # A table of all seeds is not replaced by one of less.
        if later is None or not all(map(trained, configs[later].values())):
            is_whole = evaluate(args, arms)
    if not is_whole:
        raise RuntimeError('an evaluation failed: see above. The same command '
                           'measures what is missing')


if __name__ == '__main__':
    run_main(main)
