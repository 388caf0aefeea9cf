"""What the commands that start an mmengine Runner have in common."""
import os

from mmengine.config import Config, ConfigDict

# Where each launcher of mmengine says which of the processes one is.
_RANKS = dict(
    pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def rank_of(launcher: str) -> int:
    """Which process of a run this is, before the processes have joined.

    Args:
        launcher (str): As for the Runner. Of 'none' there is one process,
            whatever the environment says: srun starts several such runs.

    Returns:
        int: From 0; the process 0 writes what a run has once.
    """
    return int(os.environ.get(_RANKS.get(launcher, ''), 0))


def set_dataloader_defaults(loader: ConfigDict) -> None:
    """Fill in what the config leaves open, as mmpretrain does.

    Args:
        loader (ConfigDict): Settings of one loader, changed in place.
    """
    loader.setdefault('pin_memory', True)
    # torch refuses to keep workers when there are none.
    loader.setdefault('persistent_workers', loader.get('num_workers', 0) > 0)
    if loader.get('num_workers', 0) == 0:
        loader.persistent_workers = False
        loader.timeout = 0
        loader.pop('prefetch_factor', None)
    loader.setdefault('collate_fn', dict(type='default_collate'))
    if isinstance(loader.collate_fn, dict):
        # Left by _base_ = 'dora_mm::...'; mmengine would pass it on to the
        # function as an argument.
        loader.collate_fn.pop('_scope_', None)


def init_cpu_group(cfg: Config) -> None:
    """Join the processes through gloo where there is no accelerator.

    mmengine's launchers select a CUDA device before they look at the backend,
    and its default model wrapper names one, so neither runs on a CPU.

    Args:
        cfg (Config): ``model_wrapper_cfg`` and the backend are set in place.

    Raises:
        ValueError: The processes were not started by torchrun.
    """
    import torch.distributed as dist  # here: a tool's --help needs no torch
    if cfg.launcher != 'pytorch':
        raise ValueError(
            '--launcher must be pytorch where no accelerator is found, but '
            f'got {cfg.launcher}: use tools/dist_train.sh on CPUs')
    cfg.setdefault('env_cfg', {})
    cfg.env_cfg.setdefault('dist_cfg', {})
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    if cfg.get('model_wrapper_cfg', None) is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.model_wrapper_cfg.setdefault('device_ids', None)
    dist.init_process_group('gloo')


def prepare_launch(cfg: Config, device: str) -> None:
    """Check the launcher's environment and join the processes on a CPU.

    Args:
        cfg (Config): With ``launcher``; changed in place on a CPU.
        device (str): What :func:`mmengine.device.get_device` says.

    Raises:
        ValueError: ``--launcher pytorch`` without torchrun.
    """
    if cfg.launcher == 'none':
        return
    if cfg.launcher == 'pytorch' and 'RANK' not in os.environ:
        raise ValueError('RANK must be set by torchrun for --launcher '
                         'pytorch, but got nothing: run bash '
                         'tools/dist_train.sh CONFIG GPUS')
    if device == 'cpu':
        init_cpu_group(cfg)
