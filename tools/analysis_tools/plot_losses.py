"""Curves of one or more runs out of their logs.

Example: python tools/analysis_tools/plot_losses.py work_dirs/a work_dirs/b

Takes the newest scalars.json of each start in the folder's runs; where a run
was resumed, the later one counts.
"""
import argparse
import json
from pathlib import Path

from dora_mm.utils.run_main import run_main


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', help='work folders')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=['loss'],
        help='what to draw, such as loss kl overlap (default: loss)')
    parser.add_argument(
        '--out',
        default='work_dirs/losses.png',
        help='PNG to write (default: work_dirs/losses.png)')
    return parser.parse_args(args)


def read_curves(folder, keys):
    """The values of a run.

    Args:
        folder (str | Path): Work folder.
        keys (Sequence[str]): Names of scalars.

    Returns:
        dict[str, dict[int, float]]: Key to step to value, in the order of the
        steps.

    Raises:
        ValueError: If there is no log or it lacks a key.
    """
    curves = {key: {} for key in keys}
    # the folders are named by the time of the start
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            for key in keys:
                if key in entry:
                    curves[key][int(entry['step'])] = entry[key]
    missing = [key for key in keys if not curves[key]]
    if missing:
        raise ValueError(f'{folder} has no */vis_data/scalars.json with '
                         f'{missing}')
    return {key: dict(sorted(curve.items())) for key, curve in curves.items()}


def plot(args):
    """Draw a panel for each key with a line for each run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    runs = {name: read_curves(name, args.keys) for name in args.runs}
    figure = Figure(figsize=(8, 3 * len(args.keys)), layout='constrained')
    FigureCanvasAgg(figure)
    for i, key in enumerate(args.keys):
        axes = figure.add_subplot(len(args.keys), 1, i + 1)
        for name, curves in runs.items():
            axes.plot(
                list(curves[key]),
                list(curves[key].values()),
                label=Path(name).name)
        axes.set_ylabel(key)
        axes.legend()
    axes.set_xlabel('iterations')
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=120)
    print(f'written to {args.out}')


def main(argv=None):
    plot(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
