"""Evaluate a frozen backbone.

``python tools/test.py configs/evaluation/NAME.py CHECKPOINT --data FOLDER``

The checkpoint may be of any layout that tools/convert_checkpoint.py knows. A
config of a run in its place gives the random weights that the run starts
from, the word ``colour`` a descriptor that knows colours only. On several
devices, or processes on a CPU: torchrun --nproc_per_node N tools/test.py ...
--launcher pytorch
"""
import argparse
import os
import os.path as osp
from contextlib import nullcontext

import dora_mm  # noqa: F401  (checks versions, allows _base_='dora_mm::...')
from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.checkpoint_options import add_key_option, add_trust_option
from dora_mm.utils.hold_folder import hold_folder
from dora_mm.utils.launch import (prepare_launch, rank_of,
                                  set_dataloader_defaults)
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config
from dora_mm.utils.write_json import write_json


def parse_args(argv=None):
    """Parse the command line.

    Args:
        argv (List[str], optional): Arguments. Defaults to ``sys.argv[1:]``.

    Returns:
        argparse.Namespace: The options.
    """
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'config',
        type=find_config,
        help='config of the evaluation, or its name (evaluation/davis2017)')
    parser.add_argument(
        'checkpoint',
        type=find_config,
        metavar='CHECKPOINT|CONFIG|colour',
        help='backbone to evaluate')
    parser.add_argument('--data', help='root of the data set')
    add_key_option(parser)
    add_architecture_options(parser)
    add_trust_option(parser)
    parser.add_argument(
        '--work-dir',
        help='folder for results. Default: ./work_dirs/<name of the config>')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override settings, for instance: test_dataloader.batch_size=8')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def dataloaders(cfg):
    """The data loaders of an evaluation.

    Args:
        cfg (Config): Its config.

    Yields:
        ConfigDict: A loader's settings.
    """
    yield cfg.test_dataloader
    if 'memory_dataloader' in cfg.test_cfg:
        yield cfg.test_cfg.memory_dataloader


def merge_args(cfg, args, device='cpu'):
    """Merge the command line into the config.

    Args:
        cfg (Config): Changed in place.
        args (argparse.Namespace): Options of :func:`parse_args`.
        device (str): Where it runs. Defaults to 'cpu'.

    Returns:
        Config: ``cfg``.

    Raises:
        ValueError: The config is not one of an evaluation.
    """
    from dora_mm.engine.merge_options import merge_options
    if 'test_dataloader' not in cfg or 'backbone' not in cfg.model:
        raise ValueError('config must be one of an evaluation, but got '
                         f'{args.config}: take one of configs/evaluation')
    cfg.model.backbone.update(
        source=args.checkpoint,
        key=args.key,
        trust=args.trust,
        **given_options(args))
    cfg.launcher = args.launcher
    name = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or osp.join('./work_dirs', name)
    for loader in dataloaders(cfg):
        if args.data is not None:
            loader.dataset.root = args.data
        loader.setdefault('pin_memory', device != 'cpu')
        set_dataloader_defaults(loader)
    merge_options(cfg, args.cfg_options)
    # masks or boxes of videos: all that a split without labels gives
    if cfg.test_evaluator.get('out_dir', '') is None:
        cfg.test_evaluator.out_dir = osp.join(cfg.work_dir, 'results')
    return cfg


def report(metrics, args, cfg):
    """Print the numbers and write ``results.json``.

    Args:
        metrics (dict): What the evaluation gave.
        args (argparse.Namespace): Options of the command line.
        cfg (Config): The config that was run.
    """
    from dora_mm.checkpoints.safe_load import sha256_of
    path = osp.join(cfg.work_dir, 'results.json')
    write_json(
        path,
        dict(
            config=args.config,
            checkpoint=args.checkpoint,
            checkpoint_sha256=sha256_of(args.checkpoint)
            if osp.isfile(args.checkpoint) else None,
            key=args.key,
            metrics=metrics))
    if not metrics:
        print('no numbers: the labels of this split are not known; what was '
              f'found is in {cfg.test_evaluator.get("out_dir")}')
    width = max((len(name) for name in metrics), default=0)
    for name, value in metrics.items():
        print(f'{name:<{width}}  {value:8.3f}')
    print(f'written to {path}')


def main(argv=None):
    """Evaluate what the command line names, print and write the numbers.

    Raises:
        ValueError: The config file or an option is wrong.
    """
    args = parse_args(argv)
    from mmengine.device import get_device
    from mmengine.dist import is_main_process

    from dora_mm.checkpoints.plain_checkpoints import plain_checkpoints
    from dora_mm.engine.quiet_runner import QuietRunner
    if not osp.isfile(args.config):
        raise ValueError(f'config must be a file, but got {args.config}'
                         ': take one of configs/evaluation')
    cfg = merge_args(read_config(args.config), args, get_device())
    prepare_launch(cfg, get_device())
    cfg.model_wrapper_cfg = dict(type='dora_mm.EvaluationWrapper')
    # Masks of two evaluations would mix, and one that is refused removes its
    # log, which is that of another of the same second.
    held = nullcontext() if rank_of(cfg.launcher) else hold_folder(
        '--work-dir', cfg.work_dir)
    with held, plain_checkpoints(args.trust):
        metrics = QuietRunner.from_cfg(cfg).test()
        if is_main_process():
            report(metrics, args, cfg)


if __name__ == '__main__':
    run_main(main)
