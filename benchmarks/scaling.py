"""How much faster several processes train than one.

    python benchmarks/scaling.py --processes 2 --batch 2 --frames 4

Gloo on CPUs, one thread a process; NCCL where there are as many GPUs. A step
is views, forward, backward with the reduction of gradients, clipping,
optimiser and teacher, on random clips, as many for every process. Efficiency:
clips per second of N processes over N times those of one, which reduces
nothing. One and N are measured in turn, ``--rounds`` times.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmpretrain.structures import DataSample
from step_tools import add_size_options, build_model, describe

from dora_mm.engine import DecayGroupsConstructor, PerParameterClipHook
from dora_mm.utils.shipped_configs import config_path


def build(args, device, wrap):
    """The model, wrapped as in training, and its optimiser."""
    model = build_model(args, device)
    wrapper = DecayGroupsConstructor(
        dict(
            type='OptimWrapper',
            optimizer=dict(
                type='AdamW', lr=1e-4, weight_decay=0.04, fused=True)))(
                    model)
    hook = PerParameterClipHook(3.)

    def clip(optimizer, *_):
        hook.clip(optimizer)

    wrapper.optimizer.register_step_pre_hook(clip)
    if not wrap:
        return model, model, wrapper
    settings = dict(
        Config.fromfile(config_path(args.config)).model_wrapper_cfg)
    del settings['type']
    ids = None if device.type == 'cpu' else [device.index]
    return MMDistributedDataParallel(
        model, device_ids=ids, **settings), model, wrapper


def work(rank, args, processes, folder):
    """Time the steps of one process; the first writes its seconds."""
    cuda = torch.cuda.device_count() >= args.processes
    device = torch.device(f'cuda:{rank}' if cuda else 'cpu')
    torch.set_num_threads(1)
    dist.init_process_group(
        'nccl' if cuda else 'gloo',
        init_method=f'file://{folder}/join',
        rank=rank,
        world_size=processes)
    wrapped, model, optim = build(args, device, processes > 1)
    batch = dict(
        inputs=torch.randint(
            256, (args.batch, args.frames, 3, 300, 300), dtype=torch.uint8),
        data_samples=[
            DataSample(metainfo=dict(seed=i)) for i in range(args.batch)
        ])

    def step():
        wrapped.train_step(batch, optim)
        model.update_teacher(0.996)

    step()
    if cuda:
        torch.cuda.synchronize()
    dist.barrier()
    start = time.perf_counter()
    for _ in range(args.repeats):
        step()
    if cuda:
        torch.cuda.synchronize()
    dist.barrier()
    if rank == 0:
        with open(f'{folder}/seconds', 'w') as file:
            file.write(str((time.perf_counter() - start) / args.repeats))
    dist.destroy_process_group()


def seconds_of(args, processes):
    """Seconds of a step."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (args, processes, folder), nprocs=processes)
        with open(f'{folder}/seconds') as file:
            return float(file.read())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_options(parser)
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=3, help='steps')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--out', help='also write the numbers to this JSON')
    args = parser.parse_args()
    os.environ['OMP_NUM_THREADS'] = '1'
    rounds = [(seconds_of(args, 1), seconds_of(args, args.processes))
              for _ in range(args.rounds)]
    # As many clips in each process: the time should stay the same.
    efficiency = [one / several for one, several in rounds]
    for (one, several), share in zip(rounds, efficiency):
        print(f'1 process {one:.2f} s, {args.processes} processes '
              f'{several:.2f} s a step: efficiency {share:.1%}')
    median = statistics.median(efficiency)
    print(f'median efficiency {median:.1%}')
    if args.out:
        cuda = torch.cuda.device_count() >= args.processes
        info = dict(
            vars(args),
            command=' '.join(sys.argv),
            **describe(torch.device('cuda' if cuda else 'cpu')))
        with open(args.out, 'w') as file:
            json.dump(
                dict(info=info, seconds=rounds, efficiency=median),
                file,
                indent=2)


if __name__ == '__main__':
    main()
