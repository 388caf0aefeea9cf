"""Repeat the iterations that made a run stop, and find the layer.

``python tools/replay.py WORK_DIR`` is for a run that stopped because a number
was not finite and left ``non_finite.json``. It trains from the last checkpoint
to that iteration, with the same clips and random numbers, and prints the first
module of the model whose output is not finite. The run is not changed.

A run of several processes needs as many of them: python -m
torch.distributed.run --nproc_per_node N tools/replay.py WORK_DIR --launcher
pytorch
"""
import argparse
import json
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook

import dora_mm  # noqa: F401  (checks versions, allows _base_='dora_mm::...')
from dora_mm.checkpoints.plain_checkpoints import (check_named_files,
                                                   load_plain,
                                                   plain_checkpoints)
from dora_mm.checkpoints.run_config import check_runnable, checkpoint_config
from dora_mm.checkpoints.safe_load import load_trusted
from dora_mm.engine.quiet_runner import QuietRunner
from dora_mm.engine.unwrap_model import unwrap_model
from dora_mm.utils.checkpoint_options import add_trust_option
from dora_mm.utils.launch import prepare_launch
from dora_mm.utils.newest_checkpoint import newest_checkpoint
from dora_mm.utils.run_main import run_main


class WatchModules(Hook):
    """Remember the first module with a bad output, and stop behind it."""

    priority = 'LOWEST'

    def __init__(self, iteration):
        self.iteration = iteration
        self.module = None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            model = unwrap_model(runner.model)
            for name, module in model.named_modules():
                module.register_forward_hook(self._look(name))

    def _look(self, name):

        def look(module, inputs, output):
            if self.module is None and not is_finite(output):
                self.module = f'{name} ({type(module).__name__})'

        return look

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter >= self.iteration:
            raise StopIteration


def is_finite(output):
    """Whether all tensors of a module's output are finite."""
    if isinstance(output, torch.Tensor):
        return not output.is_floating_point() or bool(output.isfinite().all())
    if isinstance(output, dict):
        output = output.values()
    elif not isinstance(output, (list, tuple)):
        return True
    return all(map(is_finite, output))


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', help='folder of the run')
    add_trust_option(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes')
    return parser.parse_args(argv)


def replay_config(folder, iteration, launcher, trust=False):
    """The config of the run, to be continued up to an iteration.

    Args:
        folder (Path): Of the run.
        iteration (int): The bad one, from 0.
        launcher (str): What started the processes.
        trust (bool): Run whatever code the checkpoint names.

    Returns:
        Config: It writes to ``folder/replay`` and saves no checkpoint.

    Raises:
        ValueError: If there is no older checkpoint, or it is not safe.
    """
    path = newest_checkpoint(folder)
    checkpoint = {}
    if path is not None:
        checkpoint = load_trusted(path, True) if trust else load_plain(path)
    if path is None or checkpoint['meta']['iter'] > iteration:
        raise ValueError(
            f'{folder} must have a checkpoint older than iteration '
            f'{iteration + 1}, but got {path}: train with a shorter '
            'default_hooks.checkpoint.interval to replay')
    cfg = Config(checkpoint_config(checkpoint).to_dict())
    cfg.merge_from_dict(
        dict(
            default_hooks=dict(logger=dict(interval=1)),
            load_from=str(path),
            resume=True,
            launcher=launcher,
            work_dir=str(folder / 'replay')))
    cfg.default_hooks.checkpoint = None
    if not trust:
        check_runnable(cfg.to_dict())
        check_named_files(cfg.to_dict())
    return cfg


def main(argv=None):
    """Replay.

    Raises:
        ValueError: If the folder has no report or no checkpoint.
    """
    args = parse_args(argv)
    folder = Path(args.work_dir)
    try:
        report = json.loads((folder / 'non_finite.json').read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f'work_dir must hold a non_finite.json, but got {folder}: only a '
            'run that stopped at a number that is not finite leaves one'
        ) from error
    cfg = replay_config(folder, report['iteration'], args.launcher, args.trust)
    prepare_launch(cfg, get_device())
    runner = QuietRunner.from_cfg(cfg)
    watch = WatchModules(report['iteration'])
    runner.register_hook(watch)
    try:
        with plain_checkpoints(args.trust):
            runner.train()
    except StopIteration:
        print(f'iteration {report["iteration"] + 1} is finite this time: it '
              'is not a function of weights and clips alone; suspect the '
              'hardware or a kernel')
        return
    except RuntimeError as error:
        print(error)
    print(f'first output that is not finite: {watch.module or "none"}')
    for rank, clips in enumerate(report['clips']):
        for clip in clips:
            print(f'rank {rank}: {clip}')


if __name__ == '__main__':
    run_main(main)
