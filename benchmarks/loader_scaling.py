"""Data workers against one process, and what limits them.

    python tools/prepare_video.py VIDEO --out-dir store
    python tools/prepare_video.py VIDEO --out-dir store264 --encoding h264
    python benchmarks/loader_scaling.py store/VIDEO store264/VIDEO

Clips of 8 frames, one second apart, in batches of 6, from each prepared video:
read by the main process (0 workers), and by a dataloader with each of
``--workers``. One process a measurement, in turn, ``--repeats`` times; values
are medians, "x alone" that of the ratio to 0 workers within a round, in
brackets the least and the most.
"""
import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from loader import machine, run
from loader_tables import print_table

WAYS = ('store, crop', 'store, bytes for the device')


def measure(spec):
    """Rate and CPU time of a dataloader once its workers are warm.

    Args:
        spec (dict): ``way``, ``video``, ``workers``, ``clips`` and ``seed``.

    Returns:
        dict: ``rate`` (clips/s), ``cpu_ms`` of all processes and ``main_ms``
        of the main one (a clip), ``busy`` and ``main_busy`` (CPU seconds a
        second), ``limit``: what keeps it from more, in words.
    """
    import cv2
    import torch
    from loader_ways import (BATCH_SIZE, WAYS, build_dataset, children_of,
                             cpu_seconds)
    from mmengine.dataset import default_collate, pseudo_collate

    from dora_mm.datasets import ClipSampler
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    way, workers = WAYS[spec['way']], spec['workers']
    dataset = build_dataset(way, spec['video'])
    # As many are read ahead before as after.
    warm_up = 3 * max(1, workers)
    enough = spec['clips'] + 2 * warm_up * BATCH_SIZE
    loader = torch.utils.data.DataLoader(
        dataset,
        BATCH_SIZE,
        sampler=ClipSampler(dataset, seed=spec['seed'], num_samples=enough),
        num_workers=workers,
        collate_fn=pseudo_collate if way.get('bytes') else default_collate)
    batches = iter(loader)
    for _ in range(warm_up):
        next(batches)
    pids = [os.getpid(), *children_of(os.getpid())]
    begin, before = time.perf_counter(), list(map(cpu_seconds, pids))
    clips = 0
    while clips < spec['clips']:
        clips += len(next(batches)['inputs'])
    wall = time.perf_counter() - begin
    used = [cpu_seconds(pid) - cpu for pid, cpu in zip(pids, before)]
    row = dict(
        rate=clips / wall,
        cpu_ms=1e3 * sum(used) / clips,
        main_ms=1e3 * used[0] / clips,
        busy=sum(used) / wall,
        main_busy=used[0] / wall)
    return dict(row, limit=limit_of(row, workers))


def limit_of(row, workers):
    """The first that is used up to nine tenths."""
    if row['main_busy'] > 0.9:
        return 'the main process'
    if row['busy'] > 0.9 * len(os.sched_getaffinity(0)):
        return 'the cores'
    if row['busy'] - row['main_busy'] > 0.9 * workers:
        return 'the number of workers'
    return 'waiting: disk, or other work'


def table(args):
    """Rows of the table: medians over the rounds."""
    cases = [(video, way, workers) for video in args.videos for way in WAYS
             for workers in sorted({0, *args.workers})]
    runs = {case: [] for case in cases}
    for turn in range(args.repeats):
        for video, way, workers in cases:
            spec = dict(
                way=way,
                video=video,
                workers=workers,
                clips=args.clips,
                seed=turn)
            result = run(spec, args.memory_limit, Path(__file__).name)
            print(turn, video, way, workers, result, file=sys.stderr)
            runs[video, way, workers].append(result)
    rows = []
    for (video, way, workers), own in runs.items():
        name = [Path(video).parent.name + '/' + Path(video).name, way, workers]
        if any('failed' in result for result in own):
            rows.append([*name, own[0].get('failed', 'failed'), *[''] * 5])
            continue
        ratios = [
            result['rate'] / alone['rate']
            for result, alone in zip(own, runs[video, way, 0])
        ]
        middle = [
            statistics.median(result[key] for result in own)
            for key in ('rate', 'cpu_ms', 'main_ms', 'busy')
        ]
        ratio = (f'{statistics.median(ratios):.2f} '
                 f'({min(ratios):.2f} - {max(ratios):.2f})')
        rows.append([
            *name, f'{middle[0]:.1f}', ratio, f'{middle[1]:.1f}',
            f'{middle[2]:.1f}', f'{middle[3]:.2f}', own[-1]['limit']
        ])
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('videos', nargs='+', help='prepared ones')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--clips', type=int, default=600)
    parser.add_argument('--repeats', type=int, default=3, help='rounds')
    parser.add_argument(
        '--memory-limit', type=float, default=12., help='GB of a process')
    args = parser.parse_args()
    print(', '.join(f'{k} {v}' for k, v in machine().items()), end='\n\n')
    print_table([
        'video', 'way', 'workers', 'clips/s', 'x alone', 'CPU ms/clip',
        'of the main process', 'cores busy', 'limit'
    ], table(args))


if __name__ == '__main__':
    if sys.argv[1:2] and sys.argv[1].startswith('{'):
        print(json.dumps(measure(json.loads(sys.argv[1]))))
    else:
        main()
