"""Run all evaluations that there is data for, and put them in one table.

Example: python tools/evaluate_all.py iter_N.pth --data data

In the folder --data are looked for: imagenet (train, val), cifar10_mini.tar,
davis (JPEGImages, Annotations, for 2017 ImageSets), VOC2007, VOC2012, coco
(train2014, annotations, coco_20k_filenames.txt), ADEChallengeData2016,
cityscapes, coco_stuff164k, VIP_Fine, JHMDB, GOT-10k (val). Several
checkpoints, configs (random weights) or the word colour may be given; each
becomes a column. Files with the same name in --names are seeds of one column,
which gets their mean and standard deviation: a.pth b.pth c.pth --names dora
dora dino. What is finished for the same checkpoint, config and data folder is
kept; remove --out-dir to measure again. A data set of which an evaluation
fails has no row; the others are measured all the same. Written: results.txt,
results.json and results.png. An option of --cfg-options is of all evaluations,
or of one: davis2016:test_dataloader.dataset.short_side=240. A number that an
evaluation does not give with these options has no row.
"""
import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from mmengine.config import Config

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options, option_words)
from dora_mm.utils.check_output import check_folder_name
from dora_mm.utils.checkpoint_options import add_key_option
from dora_mm.utils.hold_folder import hold_folder
from dora_mm.utils.number_options import integer
from dora_mm.utils.read_json import read_json
from dora_mm.utils.run_main import run_main
from dora_mm.utils.run_side_by_side import run_program, run_side_by_side
from dora_mm.utils.shipped_configs import config_path, find_config
from dora_mm.utils.write_json import write_json
from dora_mm.utils.write_text import write_text


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'checkpoints',
        nargs='+',
        type=find_config,
        metavar='CHECKPOINT|CONFIG|colour',
        help='backbones to evaluate')
    parser.add_argument('--data', required=True, help='folder of data sets')
    parser.add_argument(
        '--names',
        nargs='+',
        help='name of the column of each checkpoint; the same name for seeds '
        'of one (default: a column for each file)')
    parser.add_argument(
        '--only', nargs='+', help='configs to run, such as davis2016')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='[CONFIG:]KEY=VALUE',
        help='override settings of every evaluation, or of one')
    parser.add_argument(
        '--jobs',
        type=integer(1),
        default=1,
        help='checkpoints evaluated side by side (default: 1); with more, '
        'what they print is in their folders alone')
    add_key_option(parser)
    add_architecture_options(parser)
    parser.add_argument(
        '--out-dir',
        default='work_dirs/evaluation',
        help='folder to write to (default: work_dirs/evaluation)')
    args = parser.parse_args(args)
    args.names = args.names or file_names(args.checkpoints)
    if len(args.names) != len(args.checkpoints):
        parser.error(f'{len(args.names)} names for {len(args.checkpoints)} '
                     'checkpoints')
    for name in args.names:
        check_folder_name('--names', name)
    seeds = seed_names(args.names)
    if len(set(seeds)) < len(seeds):
        twice = next(name for name in seeds if seeds.count(name) > 1)
        raise ValueError('--names must stay different with the numbers of '
                         f'seeds, but got {twice} twice: rename one')
    return args


def file_names(checkpoints):
    """A name for each file, with its folder where files are named alike.

    Raises:
        ValueError: Folders are named alike too, or a file is there twice.
    """
    names = [Path(c).stem for c in checkpoints]
    if len(set(names)) < len(names):
        names = [f'{Path(c).resolve().parent.name}_{Path(c).stem}'
                 for c in checkpoints]  # yapf: disable
    if len(set(names)) < len(names):
        raise ValueError('names must be given where files are named alike, '
                         f'but got {names}: say which column each file '
                         'belongs to, by --names')
    return names


def run(item, checkpoint, args, folder):
    """Run one evaluation in a process of its own, or take what it gave.

    Returns:
        float | None: The number of the table; None where its options leave
        it out.

    Raises:
        RuntimeError: The process failed.
    """
    from dora_mm.apis.evaluation_plan import options_of
    name = f'{item.title} of {checkpoint}'
    stamp, known = identity(item, checkpoint, args), folder / 'finished.json'
    if read_json(known) == stamp and read_json(folder / 'results.json'):
        # In one piece, as others print beside it.
        print(f'{name}: kept from {folder}\n', end='', flush=True)
        return read_value(item, folder)
    print(f'{name}: running\n', end='', flush=True)
    # Not behind the program: what ends this one in between would leave the
    # new number to the old owner.
    known.unlink(missing_ok=True)
    command = [
        sys.executable,
        Path(__file__).with_name('test.py'),
        config_path(f'evaluation/{item.config}'), checkpoint, '--data',
        Path(args.data) / item.folder, '--work-dir', folder, '--key',
        args.key, *option_words(given_options(args))
    ]
    options = options_of(item, args.cfg_options)
    if options:
        command += ['--cfg-options', *options]
    if run_program(command, args.jobs > 1):
        raise RuntimeError(f'{name} failed: see above and {folder}')
    write_json(known, stamp)
    return read_value(item, folder)


def identity(item, checkpoint, args):
    """What a result belongs to; a result of anything else is not kept."""
    from dora_mm.apis.evaluation_plan import options_of
    config = Config.fromfile(config_path(f'evaluation/{item.config}'))
    path = Path(checkpoint)
    stat = path.stat() if path.is_file() else None
    return dict(
        checkpoint=str(path.resolve()) if stat else str(checkpoint),
        state=stat and [stat.st_size, stat.st_mtime_ns],
        key=args.key,
        architecture=given_options(args),
        data=[
            [str(path.resolve()), state_of(path)]
            for path in (Path(args.data) / item.folder / name
                         for name in ('', *item.needs))
        ],
        options=options_of(item, args.cfg_options),
        config=hashlib.sha256(repr(config.to_dict()).encode()).hexdigest())


def state_of(path):
    """Changes where a file does, or where a folder or one in it gains or
    loses entries."""
    if path.is_file():
        return [path.stat().st_size, path.stat().st_mtime_ns]
    found = sorted([entry.name, entry.stat().st_mtime_ns]
                   for entry in os.scandir(path) if entry.is_dir())
    found.append(['', path.stat().st_mtime_ns])
    return hashlib.sha256(repr(found).encode()).hexdigest()


def seed_names(names):
    """The folder of each checkpoint: its name, from the second on numbered."""
    found, seen = [], Counter()
    for name in names:
        seen[name] += 1
        found.append(f'{name}.{seen[name]}' if seen[name] > 1 else name)
    return found


def folders(args, item):
    """Where the results of each checkpoint are, one after the other."""
    for seed in seed_names(args.names):
        yield (
            Path(args.out_dir) / seed /
            f'{item.config}_{Path(item.folder).stem}')


def read_value(item, folder):
    """The number of the table, None if it is not there."""
    results = json.loads((folder / 'results.json').read_text())
    return results['metrics'].get(item.metric)


def evaluate(args):
    """Run everything and write the table.

    Raises:
        ValueError: If the plan does not fit, no number is left, or another
            process is writing to the folder.
        RuntimeError: When the rest is done: some evaluations failed.
    """
    from dora_mm.apis.evaluation_plan import plan_evaluations
    from dora_mm.models import ModelLoader
    for checkpoint in args.checkpoints:
        ModelLoader.check_path(checkpoint)
    found = plan_evaluations(args.data, args.only, args.cfg_options)
    with hold_folder('--out-dir', args.out_dir):
        evaluate_planned(found, args)


def evaluate_planned(found, args):
    """What :func:`evaluate` has found."""
    from dora_mm.evaluation.results_table import plot_table, text_table
    out, rows, failed = Path(args.out_dir), [], {}
    columns = list(dict.fromkeys(args.names))
    for item in found:
        values = [[] for _ in columns]
        run_of = item.config, item.folder
        if run_of in failed:  # another number of it
            continue
        try:
            numbers = run_side_by_side([
                partial(run, item, checkpoint, args, folder)
                for checkpoint, folder in zip(args.checkpoints,
                                              folders(args, item))
            ], args.jobs)
        except RuntimeError as error:
            failed[run_of] = str(error)
            continue
        if None in numbers:
            print(f'{item.title}: left out, as its results have no '
                  f'{item.metric} with these --cfg-options')
            continue
        for name, number in zip(args.names, numbers):
            values[columns.index(name)].append(number)
        rows.append(
            dict(
                title=item.title,
                values=values,
                dora=item.dora,
                dino=item.dino,
                note=item.note))
        # after each, so that an interrupted run leaves what it has
        write_json(out / 'results.json', dict(names=columns, rows=rows))
    if not rows and not failed:
        raise ValueError('--cfg-options must leave a number of the table, but '
                         f'got {" ".join(args.cfg_options)}: see '
                         f'{out} for the others')
    if rows:
        table = text_table(rows, columns)
        write_text(out / 'results.txt', table + '\n')
        plot_table(rows, columns, out / 'results.png')
        print(table)
        print(f'written to {out}')
    if failed:
        raise RuntimeError('; '.join(failed.values()) + '. The same command '
                           'measures what is missing')


def main(argv=None):
    evaluate(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
