"""A clip from a prepared video, against an earlier commit.

    python benchmarks/loader_before_after.py c506b46 BEFORE.mp4 STORE.mp4
    python benchmarks/loader_before_after.py c506b46 BEFORE.mp4 STORE.mp4 \
        --workers 2

BEFORE.mp4 was prepared by the earlier commit, STORE.mp4 by this one. Clips of
8 frames at the same places are loaded, cropped and collated by either in turn,
each time in a process of its own, one thread. The first command compares the
CPU time of a clip, the second the clips/s: of one process before with those of
that many data workers now.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from before_after import ROOT, compare_pairs, extract

WAY = 'store, crop'


def measure(root, script, spec):
    """Result of a benchmark by the code of a folder."""
    run = subprocess.run(
        [sys.executable, f'{root}/benchmarks/{script}',
         json.dumps(spec)],
        cwd=root,
        env=dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1'),
        stdout=subprocess.PIPE,
        check=True)
    return json.loads(run.stdout.splitlines()[-1])


def cpu_ms(root, video, workers, settings):
    """CPU time of a clip."""
    spec = dict(settings, task='clips', way=WAY, video=video)
    return measure(root, 'loader_ways.py', spec)['cpu_ms']


def rate(root, video, workers, settings):
    """Clips a second, of one process if there are no workers."""
    spec = dict(settings, way=WAY, video=video, workers=workers)
    return measure(root, 'loader_scaling.py', spec)['rate']


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('commit', help='of the loader before')
    parser.add_argument('before', help='video that it has prepared')
    parser.add_argument('video', help='the same, prepared by this checkout')
    parser.add_argument('--pairs', type=int, default=15)
    parser.add_argument('--clips', type=int, default=240, help='a process')
    parser.add_argument(
        '--workers', type=int, help='compare clips/s, with so many now')
    args = parser.parse_args()
    value, unit = (rate, 'clips/s') if args.workers else (cpu_ms, 'ms')
    pairs = []
    with tempfile.TemporaryDirectory() as made:
        extract(args.commit, made)
        sides = [(made, os.path.abspath(args.before), 0),
                 (ROOT, os.path.abspath(args.video), args.workers)]
        for number in range(args.pairs):
            settings = dict(seed=number, clips=args.clips)
            order = sides[::-1] if number % 2 else sides
            found = {side: value(*side, settings) for side in order}
            pairs.append([found[side] for side in sides])
            print('{:.1f} -> {:.1f}'.format(*pairs[-1]), unit, flush=True)
    print(json.dumps(compare_pairs(pairs), indent=2))


if __name__ == '__main__':
    main()
