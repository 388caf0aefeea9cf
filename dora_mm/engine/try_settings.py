import copy
import logging
import re
from typing import Any, Callable, List, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.fileio import get_file_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from dora_mm.datasets.transforms import PackClipInputs, ReadClipJPEGs
from .config_settings import dotted, walk_settings
from .quiet_runner import QuietRunner, naming


def try_settings(cfg: Config) -> None:
    """Build what a config describes, without its data and its work folder.

    So settings that cannot work are refused before videos are opened, which
    takes minutes, and before anything is written. Nothing of it is kept: the
    Runner builds all again, behind the seed.

    Args:
        cfg (Config): As the Runner will get it.

    Raises:
        ValueError: With the key or the section that nothing can be built of.
        OSError: A file that is needed cannot be read.
    """
    logging.disable(logging.WARNING)  # the Runner says it again
    try:
        with DefaultScope.overwrite_default_scope(
                cfg.get('default_scope', 'mmengine')):
            clips = _clips_of(_try_data(cfg))
            _Trial(copy.deepcopy(cfg), clips)
    except (TypeError, ValueError) as error:
        raise ValueError(_with_whole_key(str(error), cfg)) from error
    finally:
        logging.disable(logging.NOTSET)


def _with_whole_key(message: str, cfg: Config) -> str:
    """A message that begins with an argument, with its place in the config."""
    name, must, rest = message.partition(' must ')
    name = name.strip('`')
    if not re.fullmatch(r'[\w.]+', name):
        return message
    keys = [
        key for key, value in dotted(cfg.to_dict())
        if f'.{key}'.endswith(f'.{name}') and f'got {value!r}' in rest
    ]
    return f'{keys[0] if len(keys) == 1 else name}{must}{rest}'


def _try_data(cfg: Config) -> List[Callable]:
    """What is told of the data without opening it: its transforms."""
    settings, transforms = cfg.to_dict(), []
    built = ' '  # the path of a transform, which builds those in it
    for path, key, name, _, registry in walk_settings(settings):
        if key != 'type' or path.startswith(
                built) or not path.startswith('train_dataloader.'):
            continue
        part = settings
        for step in path[:-1].split('.'):
            part = part[int(step) if step.isdigit() else step]
        if registry is TRANSFORMS:
            transforms.append(naming(path[:-1], TRANSFORMS.build)(part))
            built = path
        elif registry is DATASETS and isinstance(name, str):
            # Left by _base_ = 'dora_mm::...', as mmengine takes it.
            scope = part.get('_scope_')
            with DATASETS.switch_scope_and_registry(scope) as scoped:
                check = getattr(scoped.get(name), 'check_settings', None)
            if check:
                arguments = {
                    k: v
                    for k, v in part.items() if k not in ('type', '_scope_')
                }
                naming(path[:-1], check)(**arguments)
    return transforms


def _clips_of(transforms: Sequence[Callable]) -> List[dict]:
    """Two clips of one pixel, or of one and two bytes of JPEG.

    None where other transforms than ours pack the inputs.
    """
    pack = next((item for item in transforms
                 if isinstance(item, PackClipInputs)), None)
    clip = dict(
        clip=np.zeros((1, 1, 1, 3), np.uint8),
        video_path='',
        frame_indices=[0],
        seed=0)
    jpegs = [{}, {}]
    if any(isinstance(item, ReadClipJPEGs) for item in transforms):
        jpegs = [
            dict(jpegs=[bytes(size)], crop_box=(0, 0, 1, 1), crop_size=1)
            for size in (1, 2)
        ]
    return [pack({**clip, **item}) for item in jpegs] if pack else []


class _AnyData(Dataset):
    """Stands in for data that is not opened."""
    metainfo: dict = {}

    def __len__(self) -> int:
        return 10**6


class _Trial(QuietRunner):
    """Builds the parts of a run in the order of mmengine's Runner."""

    def __init__(self, cfg: Config, clips: Sequence[dict]) -> None:
        self.cfg = cfg
        self._clips = clips
        self._hooks = []
        self._launcher, self._distributed = 'none', False
        self._val_loop = None
        self._randomness_cfg = cfg.get('randomness', {'seed': None})
        self.setup_env(cfg.get('env_cfg', {}))
        self.set_randomness(**self._randomness_cfg)
        self._experiment_name, self._log_dir = 'trial', cfg.work_dir
        self.visualizer = self.build_visualizer(cfg.get('visualizer'))
        type(self.visualizer)._instance_dict.pop(self.visualizer.instance_name,
                                                 None)
        self.logger = logging.getLogger(__name__)
        self.build_log_processor(cfg.get('log_processor') or {})
        model = cfg.model
        if cfg.get('data_preprocessor') is not None:
            model.setdefault('data_preprocessor', cfg.data_preprocessor)
        try:
            self.model = self.build_model(model)
        except ValueError as error:
            if cfg.launcher != 'none' and 'process group' in str(error):
                return  # the Runner builds it where there is one
            raise
        self.register_hooks(cfg.get('default_hooks'), cfg.get('custom_hooks'))
        for hook in self._hooks:
            if isinstance(hook, CheckpointHook):
                naming('default_hooks.checkpoint', get_file_backend)(
                    cfg.work_dir, backend_args=hook.backend_args)
        self._try_training(cfg)

    def _try_training(self, cfg: Config) -> None:
        try:
            self.optim_wrapper = self.build_optim_wrapper(cfg.optim_wrapper)
        except ValueError as error:
            if isinstance(error.__cause__, RuntimeError):
                return  # it may need a device, and the Runner builds it there
            raise
        if getattr(self.optim_wrapper, 'clip_grad_kwargs', None):
            weight = torch.zeros(1, requires_grad=True)
            weight.grad = torch.ones(1)
            naming('optim_wrapper.clip_grad', self.optim_wrapper.clip_func)(
                [weight], **self.optim_wrapper.clip_grad_kwargs)
        self._train_dataloader = dict(
            cfg.train_dataloader, dataset=_AnyData())
        try:
            self._train_loop = self.build_train_loop(cfg.train_cfg)
        except ValueError as error:
            if isinstance(error.__cause__, (AssertionError, AttributeError)):
                return  # a sampler may ask more of its data
            raise
        if cfg.get('param_scheduler') is not None:
            self.build_param_scheduler(cfg.param_scheduler)
        if self._clips:
            collate = self._train_loop.dataloader.collate_fn
            try:
                batch = naming('train_dataloader.collate_fn',
                               collate)(self._clips)
            except ValueError as error:
                if 'jpeg_sizes' not in self._clips[0]['data_samples']:
                    raise
                raise ValueError(
                    "train_dataloader.collate_fn must be dict(type='pseudo_"
                    "collate') behind dora_mm.ReadClipJPEGs, whose clips have "
                    'different numbers of bytes, but got '
                    f'{cfg.train_dataloader.get("collate_fn")}: set it, and '
                    'dora_mm.JPEGClipPreprocessor as model.data_preprocessor'
                ) from error
            check = getattr(self.model.data_preprocessor, 'check_batch', None)
            if check:
                naming('train_dataloader.collate_fn', check)(batch)

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        """A loader that starts no workers, where a loop starts it."""
        loader = Runner.build_dataloader(*args, **kwargs)
        loader.num_workers = loader.timeout = 0
        return loader
