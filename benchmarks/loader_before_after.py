"""CPU time of a clip from a prepared video, against an earlier commit.

    python benchmarks/loader_before_after.py c506b46 BEFORE.mp4 STORE.mp4

BEFORE.mp4 was prepared by the earlier commit, STORE.mp4 by this one. Clips of
8 frames at the same places are loaded, cropped and collated by either in turn,
each time in a process of its own, one thread.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from before_after import ROOT, compare_pairs, extract


def measure(root, video, seed, clips):
    """CPU time of a clip in ms, by the code of a folder."""
    spec = dict(
        task='clips', way='store, crop', video=video, seed=seed, clips=clips)
    run = subprocess.run(
        [sys.executable, f'{root}/benchmarks/loader_ways.py',
         json.dumps(spec)],
        cwd=root,
        env=dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1'),
        stdout=subprocess.PIPE,
        check=True)
    return json.loads(run.stdout.splitlines()[-1])['cpu_ms']


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('commit', help='of the loader before')
    parser.add_argument('before', help='video that it has prepared')
    parser.add_argument('video', help='the same, prepared by this checkout')
    parser.add_argument('--pairs', type=int, default=15)
    parser.add_argument('--clips', type=int, default=240, help='a process')
    args = parser.parse_args()
    pairs = []
    with tempfile.TemporaryDirectory() as made:
        extract(args.commit, made)
        sides = [(made, os.path.abspath(args.before)),
                 (ROOT, os.path.abspath(args.video))]
        for number in range(args.pairs):
            order = sides[::-1] if number % 2 else sides
            found = {
                side: measure(*side, number, args.clips)
                for side in order
            }
            pairs.append([found[side] for side in sides])
            print('{:.1f} -> {:.1f} ms'.format(*pairs[-1]), flush=True)
    print(json.dumps(compare_pairs(pairs), indent=2))


if __name__ == '__main__':
    main()
