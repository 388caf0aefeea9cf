"""Kills, damage, hostile files and mistakes, counted.

``python tests/campaign/campaign.py --minutes 1.5 --seed 0``
"""
import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'  # a fork has none of the others
ROOT = Path(__file__).resolve().parents[2]
for folder in ('tests', 'tests/tools', 'tests/video', 'tests/campaign'):
    sys.path.insert(0, str(ROOT / folder))

# What the programs import, once for all of them.
import matplotlib.backends.backend_agg  # noqa: E402, F401
import matplotlib.figure  # noqa: E402, F401
import mmpretrain.models  # noqa: E402, F401
import torch  # noqa: E402
import torch._dynamo  # noqa: E402, F401
import yapf.yapflib.yapf_api  # noqa: E402
from damage import Damage  # noqa: E402
from forked import Hung  # noqa: E402
from hostile import Hostile  # noqa: E402
from kills import Kills  # noqa: E402
from mistakes import Mistakes  # noqa: E402
from stage import Stage  # noqa: E402

import dora_mm.datasets  # noqa: E402, F401
import dora_mm.engine  # noqa: E402, F401
import dora_mm.models  # noqa: E402, F401

GOOD = ('equal', 'made anew', 'converted', 'refused', 'read as data')


def run(trials, seconds, counts):
    """Do the trials in turn until the time is over.

    Each has a slice of two seconds at least: what takes no process is many.
    """
    end = time.monotonic() + seconds
    while True:
        for trial in trials:
            slice_end = time.monotonic() + 2
            while time.monotonic() < min(slice_end, end):
                outcome = attempt(trial)
                counts[trial.__name__][outcome] += 1
                if outcome not in GOOD:
                    print(f'{trial.__name__}: {outcome}', flush=True)
            if time.monotonic() >= end:
                return


def attempt(trial):
    try:
        return trial()
    except Hung as error:
        print(f'{error} hangs')
        return 'hung'
    except Exception:
        traceback.print_exc()
        return 'crashed'


def report(counts):
    """Print a table; the number of bad outcomes."""
    seen = {name for count in counts.values() for name in count}
    names = [*GOOD, *sorted(seen - {*GOOD})]
    print('| trials | tried |', ' | '.join(names), '|')
    print('|---' * (len(names) + 2) + '|')
    for trial, count in counts.items():
        cells = [str(count[name]) for name in names]
        print(f'| {trial} | {sum(count.values())} |', ' | '.join(cells), '|')
    return sum(count[name] for count in counts.values() for name in count
               if name not in GOOD)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=1.5)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--only', help='part of the name of a trial')
    args = parser.parse_args()
    torch.set_num_threads(1)
    # Half a second for the config of each of many checkpoints.
    yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['DORA_MM_CACHE'] = f'{folder}/cache'
        stage = Stage(Path(folder), args.seed)
        parts = (Kills, Damage, Hostile, Mistakes)
        trials = [trial for part in parts for trial in part(stage).trials]
        trials = [t for t in trials if (args.only or '') in t.__name__]
        counts = {trial.__name__: Counter() for trial in trials}
        run(trials, 60 * args.minutes, counts)
    bad = report(counts)
    print(f'seed {args.seed}, {time.monotonic() - begun:.0f} s, '
          f'{os.cpu_count()} cores')
    sys.exit(f'error: {bad} outcomes are bad' if bad else 0)


if __name__ == '__main__':
    main()
