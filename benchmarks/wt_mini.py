"""DoRA, DINO and controls on one pipeline, small enough to be repeated.

    python benchmarks/wt_mini.py VIDEO ... --data data --preset gpu

Arms: DINO (the reference), DoRA, DoRA with equations 4 and 5 to the letter,
with masks of another clip, without Sinkhorn-Knopp, random weights, colours.
All see the same crops, weights of the terms and number of frames; videos are
prepared, so that no clip crosses a cut. The metric was fixed beforehand: J&F
of the teacher, paired over sequences; a difference below two standard
deviations of the seeds is called none. tools/ablate.py trains, evaluates and
compares, and goes on where it was stopped. Written to --out-dir beside its
table: health.json, wt_mini.md, wt_mini.png.
"""
import argparse
import json
import os
import runpy
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from wt_mini_arms import ARMS, DEFAULT_ARMS, EPOCHS, PRESETS, arm_config

from dora_mm.apis.evaluation_plan import plan_evaluations
from dora_mm.utils.number_options import integer
from dora_mm.utils.run_main import run_main
from dora_mm.utils.run_side_by_side import run_program, run_side_by_side
from dora_mm.utils.write_json import write_json
from dora_mm.utils.write_text import write_text
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.video_files import find_video_files

TOOLS = Path(__file__).resolve().parents[1] / 'tools'
FIGURES = ('cls_rank', 'cls_alpha', 'patch_rank', 'patch_alpha',
           'unique_prototypes', 'used_prototypes', 'overlap', 'mask_coverage',
           'track_consistency', 'teacher_start')


def parse_args(args: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('videos', nargs='+', help='video files or folders')
    parser.add_argument('--data', required=True, help='folder of data sets')
    parser.add_argument('--preset', choices=sorted(PRESETS), default='cpu')
    parser.add_argument('--steps', type=integer(2), help='of every arm')
    parser.add_argument('--clips', type=integer(1), help='of a step')
    parser.add_argument(
        '--arms', nargs='+', choices=list(ARMS), default=DEFAULT_ARMS)
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=integer(0),
        help='0 on a GPU, 0 1 2 on a CPU')
    parser.add_argument(
        '--davis-frames',
        type=integer(3),
        default=20,
        help='first frames of each sequence to follow, default %(default)s')
    parser.add_argument(
        '--only', nargs='+', default=['davis2016', 'knn_cifar10-mini'])
    parser.add_argument(
        '--evaluation-options',
        nargs='+',
        default=[],
        metavar='[CONFIG:]KEY=VALUE',
        help='override settings of every evaluation, or of one')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override settings of every arm')
    parser.add_argument(
        '--workers', type=integer(0), default=1, help='data workers')
    parser.add_argument(
        '--jobs',
        type=integer(1),
        default=1,
        help='runs and models side by side')
    parser.add_argument('--out-dir', type=Path, default='work_dirs/wt_mini')
    args = parser.parse_args(args)
    preset = PRESETS[args.preset]
    for name in ('steps', 'clips', 'seeds'):
        if getattr(args, name) is None:
            setattr(args, name, preset[name])
    for name in ('arms', 'seeds'):
        given = getattr(args, name)
        if len(set(given)) < len(given):
            parser.error(f'--{name} must differ, but got {given}')
    if args.steps > EPOCHS and args.steps % EPOCHS:
        parser.error(f'--steps must be at most {EPOCHS} or a multiple of it, '
                     f'the number of epochs, but got {args.steps}')
    return args


def prepare(args: argparse.Namespace) -> List[str]:
    """Prepare the videos; their files."""
    done, errors = prepare_videos(
        find_video_files(args.videos), args.out_dir / 'videos',
        PrepareSettings())
    for path, error in errors.items():
        raise ValueError(f'{path}: {error}')
    return [str(video.path) for video in done]


def short_data(args: argparse.Namespace) -> Path:
    """The data with only the first frames of DAVIS, by links.

    They are made anew where they are not those of the data, and no other file
    is in the folder: what was evaluated on others is not kept.
    """
    source = Path(args.data).resolve()
    target = args.out_dir / f'data_{args.davis_frames}'
    links = {
        target / path.name: path
        for path in visible(source) if path.name != 'davis'
    }
    davis = source / 'davis'
    if (davis / 'ImageSets').is_dir():
        links[target / 'davis/ImageSets'] = davis / 'ImageSets'
    for kind in ('JPEGImages', 'Annotations'):
        for folder in visible(davis / kind / '480p'):
            for path in visible(folder)[:args.davis_frames]:
                links[target / path.relative_to(source)] = path
    found = {
        path: Path(os.readlink(path))
        for path in target.rglob('*') if path.is_symlink()
    }
    if found != links:
        shutil.rmtree(target, ignore_errors=True)
        for link, path in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return target


def visible(folder: Path) -> List[Path]:
    """What is in a folder, in order, without hidden files; of none nothing."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name[0] != '.')


def health(found: Dict[str, Any], videos: Sequence[str],
           jobs: int) -> Dict[str, List[dict]]:
    """Figures without labels of the models of each arm; known ones are kept.

    Args:
        found (dict): What tools/ablate.py wrote.
        videos (Sequence[str]): Prepared ones.
        jobs (int): Models at a time.

    Returns:
        dict: Arm to the figures of each seed.
    """

    def figures_of(name: str, path: str) -> dict:
        run = next(p for p in Path(path).parents if p.parent.name == 'runs')
        out = run / f'health_{name}.json'
        if not out.is_file():
            command = [
                sys.executable, TOOLS / 'analysis_tools/health.py', path,
                *videos, '--num-clips', 4, '--out', out
            ]
            if run_program(command):
                raise RuntimeError(f'the figures of {name} failed: see above')
        return json.loads(out.read_text())

    models = [(arm, name, path) for arm, named in found['arms'].items()
              for name, path in named.items() if path != 'colour']
    measured = run_side_by_side(
        [partial(figures_of, name, path) for _, name, path in models], jobs)
    figures: Dict[str, List[dict]] = {}
    for (arm, *_), row in zip(models, measured):
        figures.setdefault(arm, []).append(row)
    return figures


def table(found: Dict[str, Any], figures: Dict[str, List[dict]]) -> str:
    """All that was seen, a line an arm: mean and deviation over seeds."""
    head = ['arm']
    for title in found['metrics']:
        head += [title, f'less {next(iter(found["arms"]))}']
    rows = [head + list(FIGURES)]
    for arm in found['arms']:
        row = [arm]
        for metric in found['metrics'].values():
            gap = metric['differences'].get(arm)
            row += [
                spread([np.mean(seed) for seed in metric['values'][arm]],
                       '.2f'),
                f'{gap["mean"]:+.2f}, better on {gap["better"]} of '
                f'{gap["sequences"]}: {gap["verdict"]}' if gap else ''
            ]
        for name in FIGURES:
            values = [seed.get(name) for seed in figures.get(arm, ())]
            row.append('' if None in values else spread(values, '.3g'))
        rows.append(row)
    rows.insert(1, ['---'] * len(rows[0]))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def spread(values: Sequence[float], digits: str) -> str:
    """Mean and standard deviation of a few values."""
    if not len(values):
        return ''
    text = f'{np.mean(values):{digits}}'
    return text if len(values) == 1 else (
        f'{text} ± {np.std(values, ddof=1):{digits}}')


def plot(metrics: Dict[str, dict], path: Path) -> None:
    """Each seed of each arm as a dot, the mean of an arm as a line.

    Colours alone, far from the others, would hide how these differ.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(4.5 * len(metrics), 3.5), layout='constrained')
    FigureCanvasAgg(figure)
    for i, (title, metric) in enumerate(metrics.items()):
        axes = figure.add_subplot(1, len(metrics), i + 1)
        arms = [arm for arm in metric['values'] if arm != 'colour']
        for x, arm in enumerate(arms):
            means = np.mean(metric['values'][arm], 1)
            axes.plot([x] * len(means), means, 'o', color='tab:blue')
            axes.hlines(means.mean(), x - 0.3, x + 0.3, 'black')
        axes.set_xticks(range(len(arms)), arms, rotation=60)
        axes.set_title(f'{title}, dots are seeds', fontsize=9)
    figure.savefig(path, dpi=100)


def main(argv: Optional[Sequence[str]] = None) -> None:
    args = parse_args(argv)
    plan_evaluations(args.data, args.only, args.evaluation_options,
                     '--evaluation-options')
    out, videos = args.out_dir, prepare(args)
    arms = []
    for name in args.arms:
        path = out / 'configs' / f'{name}.py'
        write_text(path, arm_config(name, args, videos).pretty_text)
        arms.append(f'{name}={path}')
    command = [
        *arms, 'colour=colour', '--untrained', args.arms[-1], '--seeds',
        *map(str, args.seeds), '--data',
        str(short_data(args)), '--only', *args.only, '--jobs',
        str(args.jobs), '--out-dir',
        str(out)
    ]
    if args.cfg_options:
        command += ['--cfg-options', *args.cfg_options]
    if args.evaluation_options:
        command += ['--evaluation-options', *args.evaluation_options]
    runpy.run_path(str(TOOLS / 'ablate.py'))['main'](command)
    found = json.loads((out / 'ablation.json').read_text())
    figures = health(found, videos, args.jobs)
    write_json(out / 'health.json', figures)
    text = table(found, figures)
    write_text(out / 'wt_mini.md', text + '\n')
    plot(found['metrics'], out / 'wt_mini.png')
    print(text)


if __name__ == '__main__':
    run_main(main)
