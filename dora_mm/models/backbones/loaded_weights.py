"""What a ViT says of its weights when they are saved, and asks when loaded."""
from contextlib import contextmanager
from pathlib import Path
from typing import (Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple,
                    Union)

import torch.nn as nn
from mmengine.model import PretrainedInit
from torch import Tensor

from dora_mm.checkpoints.safe_load import load_trusted


def check_shapes(module: nn.Module, state: Dict[str, Tensor], prefix: str,
                 *args: Any) -> None:
    """Refuse the weights of another architecture.

    mmengine warns of each tensor that does not fit, and trains on random ones.
    Position embeddings are resized before.
    """
    own = dict(module.named_parameters())
    unfit = [(name, tuple(state[prefix + name].shape), tuple(tensor.shape))
             for name, tensor in own.items() if prefix + name in state
             and state[prefix + name].shape != tensor.shape]
    if unfit:
        name, saved, present = unfit[0]
        raise ValueError(
            f'the checkpoint must be of this ViT, but {len(unfit)} of '
            f'{len(own)} tensors have another shape, {name} {saved} and not '
            f'{present}: set arch (model.backbone.arch) to that of the '
            'checkpoint')


def pretrained_cfg(
        init_cfg: Union[None, dict, Sequence[dict]]) -> Optional[dict]:
    """The setting that loads a checkpoint, mmengine's last, if one does."""
    cfgs = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    found = [cfg for cfg in cfgs
             if cfg['type'] in ('Pretrained', PretrainedInit)]
    return found[-1] if found else None


@contextmanager
def check_parts(vit: nn.Module, init_cfg: Mapping[str, Any]) -> Iterator[None]:
    """Refuse a checkpoint without the layers or the patch embedding of a ViT.

    mmengine lists what is missing in the log, and trains on random ones.

    Args:
        vit (nn.Module): Loads the checkpoint meanwhile.
        init_cfg (Mapping): How.

    Raises:
        ValueError: If it is one.
    """
    path, prefix = init_cfg['checkpoint'], init_cfg.get('prefix')
    loads = []
    handle = vit._register_load_state_dict_pre_hook(
        lambda state, *args: loads.append([*state]))
    advice = ('publish the backbone of what it holds with '
              "tools/publish_backbone.py, and set init_cfg.prefix='backbone.'")
    try:
        yield
    except AssertionError as error:  # mmengine's, which names no file
        if prefix is None:
            raise
        raise ValueError(
            'init_cfg.prefix must be what keys of the checkpoint begin with, '
            f'but got {prefix!r} for {path}: leave it out where they begin '
            f'with layers and patch_embed, or {advice}') from error
    finally:
        handle.remove()
    parts = ['patch_embed', *(f'layers.{i}' for i in range(vit.num_layers))]
    for keys in loads[-1:]:
        missing = [part for part in parts
                   if not any(key.startswith(part + '.') for key in keys)]
        if missing:
            raise ValueError(
                'init_cfg.checkpoint must hold the weights of this ViT, but '
                f'got {path}, which has none of {missing[0]} and of '
                f'{len(missing) - 1} other parts; its first key is '
                f'{next(iter(keys), None)!r}: set init_cfg.prefix and '
                f'arch to what it holds, or {advice}')


def say_grid(module: nn.Module, state_dict: Dict[str, Any], prefix: str,
             local_metadata: Dict[str, Any]) -> None:
    """Let a state dict say which grid its position embeddings have."""
    local_metadata['grid'] = tuple(module.patch_resolution)


def published_grid(path: str) -> Optional[Tuple[int, int]]:
    """The grid that a local checkpoint says, published or of a run."""
    if not Path(path).is_file():
        return None  # a URL, which mmengine fetches
    checkpoint = load_trusted(path)
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    arch = meta.get('arch') if isinstance(meta, dict) else None
    if not isinstance(arch, dict) or 'img_size' not in arch:
        return None
    size = arch['img_size']
    size = (size, size) if isinstance(size, int) else size
    return tuple(side // arch['patch_size'] for side in size)


def check_grid(name: str, patches: int, grid: Optional[Tuple[int, int]],
               present: Tuple[int, int]) -> None:
    """Refuse to resize position embeddings whose grid is not known.

    Args:
        name (str): Of the tensor.
        patches (int): That it has positions of.
        grid (tuple[int, int], optional): Its rows and columns, if something
            says them.
        present (tuple[int, int]): Rows and columns of this model.

    Raises:
        ValueError: If the grid is not known, or is not of the patches.
    """
    if grid is None or grid[0] * grid[1] != patches:
        raise ValueError(
            f'{name} must say its grid to be resized, but holds {patches} '
            f'patch positions without one, and this model has {present[0]} x '
            f'{present[1]}: build it with the img_size that the checkpoint '
            'was trained with, or publish that with tools/publish_backbone.py')
