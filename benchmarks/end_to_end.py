"""Train for some seconds, and say what limits the speed and what it means.

    python benchmarks/end_to_end.py configs/dora/vit-s16_wt.py --seconds 120 \
        --cfg-options train_dataloader.dataset.video=walk.mp4

Three rates, in clips per second: of training as ``tools/train.py`` does it,
with all hooks; of its loader alone; and of its step alone (views, forward,
backward, optimiser), again and again on one batch. The slower of the last two
is the limit. On a CPU they share the cores, so that training is slower than
both.

On CUDA the places are listed where the host waits for the device in some
iterations of training after those that are timed, and what the views of a
batch and a whole step cost, the copy of the batch to the device included.
Numbers are printed as they are measured, so that a run that is cut short
leaves some.

The hours are those of all epochs of the config on one video of ``--minutes``
at ``--fps``, of clips that load as those of the given video do.
"""
import argparse
import json
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from step_tools import describe, profile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'tools'))
import train  # noqa: E402

WATCHED = 12  # iterations


class TimeIsUp(Exception):
    """Ends a run."""


class Stopwatch(Hook):
    """Time iterations, the first ones aside; then look where the host waits
    for the device, and stop."""

    priority = 'LOWEST'

    def __init__(self, seconds, warmup):
        self.seconds = seconds
        self.warmup = warmup
        self.num_iters = self.num_clips = 0
        self.waited = 0.
        self.elapsed = None
        self.places = Counter()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.elapsed is None and self.num_iters > self.warmup:
            self.waited += time.perf_counter() - self.last

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None):
        self.num_iters += 1
        if self.num_iters == self.warmup:
            synchronize()
            self.start = time.perf_counter()
        elif self.elapsed is None and self.num_iters > self.warmup:
            self.num_clips += len(data_batch['inputs'])
        self.last = time.perf_counter()
        if self.elapsed is None and self.num_iters > self.warmup and \
                self.last - self.start > self.seconds:
            synchronize()
            self.elapsed = time.perf_counter() - self.start
            self._last_iter = self.num_iters
            if torch.cuda.is_available():
                self._last_iter += WATCHED
                torch.cuda.set_sync_debug_mode('warn')
                warnings.simplefilter('always')
                warnings.showwarning = self._note
        if self.elapsed is not None and self.num_iters == self._last_iter:
            raise TimeIsUp

    def _note(self, message, category, filename, lineno, *_):
        """Count a warning of PyTorch that a call waits."""
        if 'synchroniz' in str(message):
            self.places[f'{filename}:{lineno}'] += 1


def synchronize():
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_for(cfg, args):
    """The runner after ``args.seconds``, and its stopwatch."""
    runner = Runner.from_cfg(cfg)
    stopwatch = Stopwatch(args.seconds, args.warmup)
    runner.register_hook(stopwatch)
    try:
        with warnings.catch_warnings():
            runner.train()
    except TimeIsUp:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode('default')
        return runner, stopwatch
    raise SystemExit(
        'error: --seconds must be over before the run, but got '
        f'{args.seconds} and an end after iteration {stopwatch.num_iters}: '
        'lower it or take more clips')


def loader_rate(loader, seconds):
    """Clips a second of the loader alone, and its last batch."""
    num_clips, start = 0, None
    while True:
        for batch in loader:
            now = time.perf_counter()
            if start is None:  # the workers have started
                start = now
                continue
            num_clips += len(batch['inputs'])
            if now - start > seconds:
                return num_clips / (now - start), batch


def step_rate(runner, batch, seconds):
    """Clips a second of the step alone."""
    runner.model.train_step(batch, runner.optim_wrapper)
    synchronize()
    start, num_clips = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        runner.model.train_step(batch, runner.optim_wrapper)
        num_clips += len(batch['inputs'])
    synchronize()
    return num_clips / (time.perf_counter() - start)


def clips_per_epoch(dataset, minutes, fps):
    """Start frames of a video at which a whole clip fits.

    Args:
        dataset (dict): Of the config.
        minutes (float): Length of the video.
        fps (float): Its frames per second.
    """
    gaps = dataset['clip_len'] - 1
    step = dataset.get('frame_stride')
    if step is None:
        step = round(dataset['frame_interval'] * fps)
    else:
        gaps += 1  # as in the authors' code, see WalkingToursVideoDataset
    num_starts = round(minutes * 60 * fps) - gaps * step
    return -(-num_starts // dataset.get('start_stride', 1))


def prepare(args):
    """The config as ``tools/train.py`` would run it, without checkpoints."""
    options = ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    cfg = train.merge_args(
        Config.fromfile(args.config),
        train.parse_args([args.config, '--work-dir', args.work_dir, *options]))
    if not torch.cuda.is_available():
        train.drop_amp(cfg)
    cfg.default_hooks.checkpoint = None
    cfg.log_level = 'WARNING'
    return cfg


def say(name, rate):
    """Print a rate and return it."""
    print(f'{name:10} {rate:8.2f} clips/s')
    return rate


def on_device(runner, batch):
    """What views and a step cost on CUDA, else None."""
    if not torch.cuda.is_available():
        return None
    calls = dict(
        views=lambda: runner.model.data_preprocessor(batch, training=True),
        step=lambda: runner.model.train_step(batch, runner.optim_wrapper))
    found = {}
    for name, call in calls.items():
        cost = found[name] = profile(call)
        print(f'{name}: host {cost["host_ms"]:.1f} ms, device '
              f'{cost["device_ms"]:.1f} ms in {cost["launches"]} launches')
    return found


def report(args, cfg, rates, stopwatch):
    """The limit and the hours, printed too."""
    alone = {name: rates[name] for name in ('loader', 'step')}
    clips = clips_per_epoch(cfg.train_dataloader.dataset, args.minutes,
                            args.fps)
    epochs = cfg.train_cfg.max_epochs
    hours = epochs * clips / rates['training'] / 3600
    limit = 'data' if alone['loader'] < alone['step'] else 'compute'
    waited = stopwatch.waited / stopwatch.elapsed
    print(f'training waited for clips {waited:.1%} of the time\n'
          f'limit: {limit} ({max(alone.values()) / min(alone.values()):.1f} '
          'times slower than the other)\n'
          f'{epochs} epochs of {clips} clips ({args.minutes:g} minutes, '
          f'{args.fps:g} fps): {hours:.0f} hours')
    return dict(
        rates=rates,
        waited=waited,
        places=stopwatch.places,
        limit=limit,
        clips=clips,
        hours=hours)


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument(
        '--seconds', type=float, default=60., help='of each of the three')
    parser.add_argument(
        '--warmup', type=int, default=3, help='iterations that do not count')
    parser.add_argument('--minutes', type=float, default=110.)
    parser.add_argument('--fps', type=float, default=60.)
    parser.add_argument('--out', help='also write the numbers to this JSON')
    parser.add_argument('--cfg-options', nargs='+')
    return parser.parse_args(argv)


def main():
    args = parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory() as args.work_dir:
        cfg = prepare(args)
        runner, stopwatch = train_for(cfg, args)
        rates = dict(
            training=say('training', stopwatch.num_clips / stopwatch.elapsed))
        if torch.cuda.is_available():
            print(f'in {WATCHED} iterations the host waited for the device '
                  f'{sum(stopwatch.places.values())} times, by place: '
                  f'{dict(stopwatch.places)}')
        loaded, batch = loader_rate(runner.train_dataloader, args.seconds)
        rates['loader'] = say('loader', loaded)
        rates['step'] = say('step', step_rate(runner, batch, args.seconds))
        costs = on_device(runner, batch)
        numbers = report(args, cfg, rates, stopwatch)
    if args.out:
        device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        with open(args.out, 'w') as file:
            json.dump(
                dict(
                    info=dict(
                        vars(args),
                        command=' '.join(sys.argv),
                        **describe(device)),
                    costs=costs,
                    **numbers),
                file,
                indent=2)


if __name__ == '__main__':
    main()
