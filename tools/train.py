"""Train a model.

``python tools/train.py CONFIG`` on one device; for several see
``dist_train.sh`` and ``slurm_train.sh`` beside this file.
"""
import argparse
import inspect
import logging
import os
import os.path as osp

from mmengine.logging import print_log

import dora_mm  # noqa: F401  (checks versions, allows _base_='dora_mm::...')
from dora_mm.utils.checkpoint_options import add_trust_option
from dora_mm.utils.launch import prepare_launch, set_dataloader_defaults
from dora_mm.utils.newest_checkpoint import newest_checkpoint, reads_whole
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config
from dora_mm.utils.work_folder import hold_work_folder

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
UNUSED = ('test_dataloader', 'test_cfg', 'test_evaluator')
NEEDED = ('model', 'train_dataloader', 'optim_wrapper', 'train_cfg')


def parse_args(argv=None):
    """Parse the command line.

    Args:
        argv (List[str], optional): Arguments. Defaults to ``sys.argv[1:]``.

    Returns:
        argparse.Namespace: The options.
    """
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument(
        'config',
        type=find_config,
        help='config file, or the name of a shipped one (dora/vit-s16_wt)')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints. Default: work_dir of the '
        'config, else ./work_dirs/<name of the config>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue from this checkpoint; without a path, from the last '
        'one in the work folder, if there is any')
    add_trust_option(parser)
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision')
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='leave out the validation that the config asks for')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size over all devices '
        'divided by auto_scale_lr.base_batch_size')
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='do not pin the memory of batches')
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='start the data workers anew each epoch')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override settings, for instance: train_dataloader.batch_size=8 '
        'model.head.num_objects=3 key="[(a,b),(c,d)]" (quoted, no spaces)')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes')
    # torch.distributed.launch, which mim uses, passes it; torchrun does not.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def enable_amp(cfg):
    """Switch the optimiser wrapper to mixed precision.

    Raises:
        ValueError: The config has a wrapper of its own, which would be lost.
    """
    from dora_mm.engine.optimizers.mixed_precision_optim_wrapper import \
        amp_dtype
    wrapper = cfg.get('optim_wrapper', None)
    name = wrapper.get('type', 'OptimWrapper') if wrapper else None
    if name == 'OptimWrapper':
        wrapper.type = 'AmpOptimWrapper'
        wrapper.setdefault('dtype', amp_dtype())
    elif not is_amp(wrapper):
        raise ValueError(
            'optim_wrapper.type must be OptimWrapper for --amp, but got '
            f'{name}: choose a mixed-precision wrapper in the config instead')
    wrapper.setdefault('loss_scale', 'dynamic')


def is_amp(wrapper):
    """Whether an optimiser wrapper is one for mixed precision."""
    from mmengine.optim import AmpOptimWrapper
    from mmengine.registry import OPTIM_WRAPPERS
    kind = wrapper.get('type', None) if wrapper else None
    if isinstance(kind, str):
        kind = OPTIM_WRAPPERS.get(kind)
    return inspect.isclass(kind) and issubclass(kind, AmpOptimWrapper)


def drop_amp(cfg):
    """Train in float32 where mixed precision cannot run.

    So that the configs for GPUs can be tried on a CPU; mmengine's wrapper
    refuses one with an assertion.
    """
    wrapper = cfg.get('optim_wrapper', None)
    if is_amp(wrapper):
        wrapper.type = 'OptimWrapper'
        for name in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(name, None)
        print_log(
            'Mixed precision needs an accelerator and none is found: '
            'training in float32 on the CPU.',
            level=logging.WARNING)


def set_resume(cfg, resume):
    """Set what to continue from.

    Args:
        cfg (Config): Changed in place.
        resume (str): 'auto' or the path of a checkpoint.

    Raises:
        ValueError: There is no such checkpoint.
    """
    if resume != 'auto' and '://' not in resume and not osp.isfile(resume):
        raise ValueError(f'--resume must be a file, but got {resume}: give '
                         'the path of a checkpoint, or none to continue from '
                         'the last one in the work folder')
    cfg.resume = True
    cfg.load_from = None if resume == 'auto' else resume


def check_files(cfg):
    """Refuse checkpoints that are not there, before data is opened.

    Raises:
        ValueError: With the key of the config.
    """
    from dora_mm.engine.config_settings import dotted
    for key, path in dotted(cfg.to_dict()):
        if (key == 'load_from' or key.endswith('init_cfg.checkpoint')
            ) and path is not None and '://' not in path and not osp.isfile(
                path):
            raise ValueError(f'{key} must be a file, but got {path}: check '
                             'the path')


def choose_checkpoint(cfg):
    """Find what a run that resumes by itself goes on from.

    Args:
        cfg (Config): ``resume`` and ``load_from`` are set in place.

    Raises:
        ValueError: The checkpoint is damaged, or all in the folder are.
    """
    if not cfg.get('resume', False):
        return
    if cfg.get('load_from', None) is None:
        path = newest_checkpoint(cfg.work_dir)
        cfg.load_from = None if path is None else str(path)
        cfg.resume = path is not None
    elif osp.isfile(cfg.load_from) and not reads_whole(cfg.load_from):
        raise ValueError(f'--resume must be a whole checkpoint, but got '
                         f'{cfg.load_from}, which is damaged: give another '
                         'one, or no path for the newest whole one')


def merge_args(cfg, args):
    """Merge the command line into the config.

    Args:
        cfg (Config): Changed in place.
        args (argparse.Namespace): Options of :func:`parse_args`.

    Returns:
        Config: ``cfg``.

    Raises:
        ValueError: An option does not fit the config.
    """
    from dora_mm.engine.check_values import check_values
    from dora_mm.engine.merge_options import merge_options
    options = args.cfg_options or {}
    merge_options(cfg, options, UNUSED)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir', None) is None:
        name = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('./work_dirs', name)
    if args.amp:
        enable_amp(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr', None) or {}):
            raise ValueError(
                'auto_scale_lr.base_batch_size must be the batch size that '
                'the learning rate is meant for, but got nothing: add it to '
                'the config, or leave --auto-scale-lr out')
        cfg.auto_scale_lr.enable = True
    for name in DATALOADERS:
        if cfg.get(name, None) is not None:
            set_dataloader_defaults(cfg[name])
            if args.no_pin_memory:
                cfg[name].pin_memory = False
            if args.no_persistent_workers:
                cfg[name].persistent_workers = False
    # Once more: --cfg-options win over the other options and the defaults,
    # which in turn depend on them.
    cfg.merge_from_dict(options)
    check_values(cfg, UNUSED)
    return cfg


def prepare(args):
    """Read the config of a run, and refuse what cannot train on this machine.

    Args:
        args (argparse.Namespace): Options of :func:`parse_args`.

    Returns:
        Config: As the Runner gets it. No data is opened, nothing is written.

    Raises:
        ValueError: The config file or an option is wrong.
    """
    cfg = read_config(args.config)  # before what takes seconds to import
    from mmengine.device import get_device

    from dora_mm.checkpoints.plain_checkpoints import plain_checkpoints
    from dora_mm.engine.try_settings import try_settings
    cfg = merge_args(cfg, args)
    for name in NEEDED:
        if cfg.get(name, None) is None:
            raise ValueError(
                'config must have a model, and its train_dataloader, '
                f'optim_wrapper and train_cfg, but got no {name} in '
                f'{args.config}: name a config that trains, and leave them in')
    if get_device() == 'cpu':
        if args.amp:
            raise ValueError('--amp must have an accelerator, but got the '
                             'CPU only: leave it out')
        drop_amp(cfg)
        for name in DATALOADERS:
            if cfg.get(name, None) is not None:
                cfg[name].pin_memory = False  # torch warns otherwise
    if 'runner_type' not in cfg:  # another Runner builds other parts
        with plain_checkpoints(args.trust):
            try_settings(cfg)
    check_files(cfg)
    return cfg


def main(argv=None):
    """Train the model that the command line names.

    Raises:
        ValueError: The config file or an option is wrong.
    """
    args = parse_args(argv)
    cfg = prepare(args)
    from mmengine.device import get_device
    from mmengine.registry import RUNNERS

    from dora_mm.checkpoints.plain_checkpoints import plain_checkpoints
    from dora_mm.engine.quiet_runner import QuietRunner, naming
    prepare_launch(cfg, get_device())
    with hold_work_folder(cfg.work_dir,
                          cfg.launcher), plain_checkpoints(args.trust):
        choose_checkpoint(cfg)
        runner = (
            naming('runner_type', RUNNERS.build)(cfg)
            if 'runner_type' in cfg else QuietRunner.from_cfg(cfg))
        runner.train()


if __name__ == '__main__':
    run_main(main)
