"""What the look for numbers that are not finite costs a training step.

    python benchmarks/guards.py --device cuda --batch 32 --dtype bf16
    python benchmarks/guards.py --arch deit-tiny --frames 2 --local-views 2 \
        --logits 4096 --threads 1

Pairs of steps with and without `FiniteHook`, in one process and in turn: the
median of their ratios, with its interval of 95 %; and the look by itself, 15
times, as a share of a step. On a CPU it is the time of the process, which
other programs do not add to. The hook reads all weights, gradients and
buffers, so its share falls with the batch.
"""
import argparse
import json
import time
from statistics import median
from types import SimpleNamespace

import torch
from before_after import compare_pairs
from step_tools import DTYPES, add_size_options, describe, make_views
from training_step import TrainingStep

from dora_mm.engine import FiniteHook

PAIRS = 15


class Guard:
    """The hook beside a step without a Runner, switched on and off.

    Args:
        step (TrainingStep): The step.
    """

    def __init__(self, step):
        self.hook, self.step = FiniteHook(), step
        self.looks = step.optimizer._optimizer_step_pre_hooks
        known = set(self.looks)
        self.runner = SimpleNamespace(
            model=step.model,
            iter=0,
            optim_wrapper=SimpleNamespace(optimizer=step.optimizer),
            cfg=None,
            train_dataloader=range(10**9))
        self.hook.before_train(self.runner)
        self.own = {k: v for k, v in self.looks.items() if k not in known}

    def run(self, views, is_on):
        """A step, with the hook or without it."""
        for key, look in self.own.items():
            if is_on:
                self.looks[key] = look
            else:
                self.looks.pop(key, None)
        loss = self.step.run(views)
        if is_on:
            self._look(loss)
        self.runner.iter += 1

    def look_alone(self, views):
        """Look at loss, gradients, buffers and weights; a function."""
        loss = self.step.loss(views)
        loss.backward()

        def look():
            for own in self.own.values():
                own(self.step.optimizer, (), {})
            self._look(loss)

        return look

    def _look(self, loss):
        for kind, names, tensors in (('loss', ('loss', ),
                                      [loss.detach().reshape(1)]),
                                     ('buffer', *self.hook._buffers),
                                     ('weight', *self.hook._weights)):
            self.hook._note(kind, names, tensors, self.runner.iter)

    def kept(self):
        """Bytes of what the hook keeps on the device."""
        return sum(t.nbytes for t in self.hook._first.values())


def measure(function, number, is_cuda):
    """Seconds of some calls, and the peak of memory on a GPU."""
    if is_cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    clock = time.perf_counter if is_cuda else time.process_time
    begun = clock()
    for _ in range(number):
        function()
    if is_cuda:
        torch.cuda.synchronize()
    seconds = clock() - begun
    return seconds, torch.cuda.max_memory_allocated() if is_cuda else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add_size_options(parser)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', choices=DTYPES, default='fp32')
    parser.add_argument('--steps', type=int, default=1, help='of each half')
    args = parser.parse_args()
    args.set = None
    if args.threads:
        torch.set_num_threads(args.threads)
    step = TrainingStep(args, 'ours', DTYPES[args.dtype])
    guard = Guard(step)
    views = make_views(step.model, args.batch, args.frames, step.device)
    for is_on in (True, False):  # both warm
        guard.run(views, is_on)
    is_cuda = step.device.type == 'cuda'
    rows = []
    for pair in range(PAIRS):
        order = (True, False) if pair % 2 else (False, True)
        found = {
            on: measure(lambda: guard.run(views, on), args.steps, is_cuda)
            for on in order
        }
        rows.append([*found[True], *found[False]])
    look = guard.look_alone(views)
    alone = median(measure(look, 1, is_cuda)[0] for _ in range(PAIRS))
    without = median(off for _, _, off, _ in rows) / args.steps
    print(
        json.dumps(
            dict(
                machine=describe(step.device),
                options=vars(args),
                seconds_without=without,
                seconds_of_the_look=alone,
                share_of_the_look=alone / without,
                **compare_pairs([(off, on) for on, _, off, _ in rows]),
                memory_ratio=median(on / off if off else 1.
                                    for _, on, _, off in rows)
                if is_cuda else None,
                bytes_kept=guard.kept(),
                bytes_of_model=sum(p.nbytes
                                   for p in step.model.parameters())),
            indent=1))


if __name__ == '__main__':
    main()
