"""One optimisation step of ours against the released way.

Both run in turn in one process, on the same weights and the same synthetic
batch. Before any time is taken their losses and gradients must agree to 1e-3
in float32.

    python benchmarks/step.py --arch deit-small --batch 2 --frames 4
    python benchmarks/step.py --device cuda --dtype bf16 --batch-search 64
    python benchmarks/step.py --set drop_hidden=True   # of our model alone
    python benchmarks/step.py --device cuda --dtype bf16 --ways ours \
        --batches 32 64 128

Peak memory: on CUDA of the tensors, on a CPU of a process that does two steps
of one of the two (less the same process before its first step, in brackets).
Utilisation: arithmetic of the model (teacher forward, three times the
student's forward; nothing that is computed again) against the rate of a large
matrix product, the fastest of those between the steps.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from mmengine.config import DictAction
from step_tools import (DTYPES, add_size_options, describe, make_views,
                        matmul_rate, peak_memory, print_profile, profile,
                        restart_peak)
from training_step import TrainingStep

KERNELS = 60  # that a profile prints
# Steps without a stop between them, as in training, where the host prepares
# one while a GPU computes the one before.
STEPS = dict(cpu=1, cuda=8)


def assert_equal(args):
    """Losses and gradients of both ways, in float32, on two clips.

    Without ``--set``, which may change what is computed.
    """
    device = torch.device(args.device)
    plain = argparse.Namespace(**{**vars(args), 'set': None})
    results = []
    for way in ('released', 'ours'):
        step = TrainingStep(plain, way, torch.float32)
        views = make_views(step.model, min(args.batch, 2), args.frames, device)
        results.append(step.gradients(views))
        del step, views
    (theirs, their_norms), (ours, our_norms) = results
    assert abs(ours - theirs) <= 1e-3 * abs(theirs), (ours, theirs)
    torch.testing.assert_close(our_norms, their_norms, rtol=1e-3, atol=1e-4)
    return dict(released=theirs, ours=ours)


def measure(args, batch):
    """Rows of both ways, in turn, at one batch size; and FLOP/s of a large
    product between them. On CUDA the row of one way alone has its memory."""
    device = torch.device(args.device)
    is_alone = device.type == 'cuda' and len(args.ways) == 1
    steps = {
        way: TrainingStep(args, way, DTYPES[args.dtype])
        for way in args.ways
    }
    views = make_views(
        next(iter(steps.values())).model, batch, args.frames, device)
    before = restart_peak(device)
    for step in steps.values():
        step.run(views)  # warms up and makes the optimiser's state
        with step.clock.count():
            step.run(views)
        step.clock.read()
    restart_peak(device)
    seconds = {way: [] for way in steps}
    peak_rate = 0
    for i in range(args.repeats):
        for way, step in steps.items():
            number = STEPS[args.device]
            for _ in range(number):
                step.run(views, i)
            seconds[way].append({
                stage: time / number
                for stage, time in step.clock.read().items()
            })
        peak_rate = max(peak_rate, matmul_rate(device, DTYPES[args.dtype]))
    rows = {
        way: make_row(times, steps[way].clock.flops, batch)
        for way, times in seconds.items()
    }
    if is_alone:
        row, = rows.values()
        row['memory'] = dict(peak=peak_memory(device), before=before)
    if args.profile:
        for way, step in steps.items():
            rows[way]['profile'] = profile(lambda: step.run(views))
            step.clock.read()
    return rows, peak_rate


def make_row(times, flops, batch):
    """The numbers of one way, of the stages of each repetition."""
    steps = [t['step'] for t in times]
    stages = {
        name:
        dict(
            seconds=statistics.median(t[name] for t in times),
            flops=flops[name])
        for name in times[0]
    }
    return dict(
        batch=batch,
        seconds=statistics.median(steps),
        fastest=min(steps),
        clips_per_sec=batch / statistics.median(steps),
        stages=stages)


def model_flops(stages):
    """Arithmetic of the forward passes, and of backward ones twice as much."""
    student = ('student, objects', 'student, local', 'loss')
    return sum(stages[name]['flops'] * (3 if name in student else 1)
               for name in ('teacher', 'tracker', *student))


def measure_memory(args, batch):
    """Peak of two steps of each way, alone."""
    for way in args.ways:
        if args.device == 'cuda':
            yield way, memory_of(args, way, batch)
            continue
        command = [
            sys.executable, __file__, '--memory-of', way, '--batch',
            str(batch)
        ]
        for name in ('arch', 'frames', 'objects', 'local_views', 'logits',
                     'threads', 'config', 'dtype'):
            option = '--' + name.replace('_', '-')
            command += [option, str(getattr(args, name))]
        if args.set:
            command += ['--set', *(f'{k}={v}' for k, v in args.set.items())]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        yield way, json.loads(done.stdout.splitlines()[-1])


def memory_of(args, way, batch):
    """Peak bytes of two steps, and the bytes before them."""
    device = torch.device(args.device)
    step = TrainingStep(args, way, DTYPES[args.dtype])
    views = make_views(step.model, batch, args.frames, device)
    before = restart_peak(device)
    for _ in range(2):
        step.run(views)
    return dict(peak=peak_memory(device), before=before)


def search(args):
    """The rows of each way at the batch size that is fastest for it."""
    best, peak_rate, batch, ways = {}, 0, 1, list(args.ways)
    end = time.monotonic() + args.search_seconds
    while ways and batch <= args.batch_search and time.monotonic() < end:
        for way in list(ways):
            args.ways = [way]
            try:
                rows, rate = measure(args, batch)
            except torch.cuda.OutOfMemoryError:
                ways.remove(way)
                continue
            finally:
                torch.cuda.empty_cache()
            peak_rate = max(peak_rate, rate)
            if way not in best or rows[way]['clips_per_sec'] > best[way][
                    'clips_per_sec']:
                best[way] = rows[way]
        batch *= 2
    args.ways = list(best)
    return best, peak_rate


def measure_each(args):
    """The rows of one way at several batch sizes, by way and size."""
    way, = args.ways
    found, peak_rate = {}, 0
    for batch in args.batches:
        try:
            rows, rate = measure(args, batch)
        except torch.cuda.OutOfMemoryError:
            print(f'{batch} clips do not fit into the memory')
            continue
        finally:
            torch.cuda.empty_cache()
        found[f'{way}, {batch}'] = rows[way]
        peak_rate = max(peak_rate, rate)
    return found, peak_rate


def report(rows, peak_rate):
    """Print the numbers as tables."""
    for way, row in rows.items():
        memory = row['memory']
        print(f'\n{way}: batch {row["batch"]}, {row["seconds"]:.3f} s '
              f'(fastest {row["fastest"]:.3f}), '
              f'{row["clips_per_sec"]:.2f} clips/s, peak memory '
              f'{memory["peak"] / 2**20:.0f} MiB (before the first step '
              f'{memory["before"] / 2**20:.0f})')
        print(f'{"stage":20} {"s":>8} {"share":>7} {"GFLOP":>8} '
              f'{"GFLOP/s":>9}')
        for name, stage in row['stages'].items():
            rate = stage['flops'] / stage['seconds']
            print(f'{name:20} {stage["seconds"]:8.4f} '
                  f'{stage["seconds"] / row["seconds"]:7.1%} '
                  f'{stage["flops"] / 1e9:8.1f} {rate / 1e9:9.1f}')
        print(f'utilisation {row["utilisation"]:.1%} of the '
              f'{peak_rate / 1e9:.0f} GFLOP/s of a large product')
        if 'profile' in row:
            print_profile(row['profile'], KERNELS)


def compare(rows, peak_rate):
    """Add the utilisation; return ours over released, if both ran."""
    ours = rows.get('ours') or next(iter(rows.values()))
    flops = model_flops(ours['stages']) / ours['batch']
    for row in rows.values():
        row['utilisation'] = flops * row['clips_per_sec'] / peak_rate
    if 'released' not in rows or 'ours' not in rows:
        return dict(model_flops_per_clip=flops)
    theirs = rows['released']
    fastest = (ours['batch'] / ours['fastest']) / (
        theirs['batch'] / theirs['fastest'])
    return dict(
        clips_per_sec=ours['clips_per_sec'] / theirs['clips_per_sec'],
        clips_per_sec_fastest=fastest,
        memory=ours['memory']['peak'] / theirs['memory']['peak'],
        model_flops_per_clip=flops)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_size_options(parser)
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--dtype', default='fp32', choices=DTYPES)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument(
        '--batch-search',
        type=int,
        default=0,
        help='try 1, 2, 4 ... up to so many clips, and compare the best of '
        'both; for CUDA')
    parser.add_argument(
        '--batches',
        type=int,
        nargs='+',
        help='measure one way at each of these')
    parser.add_argument(
        '--search-seconds',
        type=float,
        default=float('inf'),
        help='begin no further batch size after so long')
    parser.add_argument(
        '--set',
        nargs='+',
        action=DictAction,
        help='settings of our model, for instance: drop_hidden=True '
        'backbone.with_cp=True compile_layers=True')
    parser.add_argument(
        '--ways',
        nargs='+',
        default=['released', 'ours'],
        choices=('released', 'ours'),
        help='one of them alone is not compared with the other')
    parser.add_argument(
        '--profile',
        action='store_true',
        help='on CUDA, also list the kernels of one step, and where the host '
        'waits')
    parser.add_argument('--out', help='also write the numbers to this JSON')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.memory_of:
        print(json.dumps(memory_of(args, args.memory_of, args.batch)))
        return
    if args.batches and len(args.ways) > 1:
        parser.error('--batches takes one of --ways, but got '
                     f'{" ".join(args.ways)}: add --ways ours')
    device = torch.device(args.device)
    losses = assert_equal(args) if len(args.ways) == 2 else None
    print(f'losses of both ways, float32: {losses}')
    if args.batches:
        rows, peak_rate = measure_each(args)
    elif args.batch_search:
        rows, peak_rate = search(args)
    else:
        rows, peak_rate = measure(args, args.batch)
    for name, row in rows.items():
        args.ways = [name.partition(',')[0]]
        if 'memory' not in row:
            row['memory'], = dict(measure_memory(args, row['batch'])).values()
    ratios = compare(rows, peak_rate)
    report(rows, peak_rate)
    if 'released' in rows and 'ours' in rows:
        print('\nours / released: clips/s '
              f'{ratios["clips_per_sec"]:.2f} (of the fastest steps '
              f'{ratios["clips_per_sec_fastest"]:.2f}), peak memory '
              f'{ratios["memory"]:.1%}')
    if args.out:
        info = dict(
            vars(args),
            command=' '.join(sys.argv),
            peak_flops=peak_rate,
            losses=losses,
            **describe(device))
        with open(args.out, 'w') as file:
            json.dump(
                dict(info=info, rows=rows, ratios=ratios), file, indent=2)


if __name__ == '__main__':
    main()
