"""Curves of one or more runs out of their logs.

Example: python tools/analysis_tools/plot_losses.py work_dirs/a work_dirs/b

Takes the newest scalars.json of each start in the folder's runs; where a run
was resumed, the later one counts.
"""
import argparse
import json
import math
from difflib import get_close_matches
from pathlib import Path

from dora_mm.utils.check_output import check_output_file
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
    curves = {}
    # the folders are named by the time of the start
    for path in sorted(Path(folder).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            for key in entry.keys() - {'step'}:
                curves.setdefault(key, {})[int(entry['step'])] = entry[key]
    if not curves:
        raise ValueError('runs must be work folders with */vis_data/'
                         f'scalars.json, but got {folder}: check the path')
    for key in keys:
        if key not in curves:
            near = get_close_matches(key, curves, 1)
            raise ValueError(
                f'--keys must be scalars of the log of {folder}, but got '
                f'{key}: ' + (f'did you mean {near[0]}?' if near else
                              f'it has {", ".join(sorted(curves))}'))
    return {key: dict(sorted(curves[key].items())) for key in keys}


def draw(runs, keys):
    """Draw a panel for each key with a line for each run.

    The last value of a line stands at its end; the legend has the first, the
    last, and where the lowest and the highest are.

    Args:
        runs (dict[str, dict]): Name of a run to its :func:`read_curves`.
        keys (Sequence[str]): Of the panels.

    Returns:
        matplotlib.figure.Figure: The drawing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 3 * len(keys)), layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(keys), 1, squeeze=False)[:, 0]
    for axes, key in zip(panels, keys):
        for name, curves in runs.items():
            steps, values = zip(*curves[key].items())
            line, = axes.plot(
                steps, values, label=f'{name}: {summary(steps, values)}')
            axes.annotate(
                f'{values[-1]:.4g}', (steps[-1], values[-1]),
                (4, 0),
                textcoords='offset points',
                va='center',
                color=line.get_color())
        axes.set_ylabel(key)
        # Above the panel: inside it covers a part of a curve.
        axes.legend(fontsize='small', loc='lower left', bbox_to_anchor=(0, 1))
        axes.margins(x=0.08)
    panels[-1].set_xlabel('iterations')
    return figure


def summary(steps, values):
    """A curve in words.

    Args:
        steps (Sequence[int]): Iterations.
        values (Sequence[float]): As many.

    Returns:
        str: First and last value, and the lowest and the highest with their
        iterations; values that are not finite are counted instead.
    """
    finite = [(v, s) for v, s in zip(values, steps) if math.isfinite(v)]
    text = f'{values[0]:.4g} to {values[-1]:.4g}'
    if finite:
        text += ', lowest {:.4g} at {}, highest {:.4g} at {}'.format(
            *min(finite), *max(finite))
    if len(finite) < len(values):
        text += f', {len(values) - len(finite)} not finite'
    return text


def plot(args):
    """Write the drawing, and print the curves in words."""
    check_output_file('--out', args.out)
    runs = {name: read_curves(name, args.keys) for name in args.runs}
    for name, curves in runs.items():
        for key, curve in curves.items():
            print(f'{name} {key}: {summary(*zip(*curve.items()))}')
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    draw(runs, args.keys).savefig(args.out, dpi=120)
    print(f'written to {args.out}')


def main(argv=None):
    plot(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
