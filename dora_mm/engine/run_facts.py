from typing import Any, Dict, Iterator, Tuple

import mmengine
import torch
from mmengine.runner import Runner

from dora_mm.version import __version__
from dora_mm.video.content_identity import content_identity

_SECTIONS = ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg',
             'train_dataloader', 'custom_hooks', 'auto_scale_lr')


def run_facts(runner: Runner) -> Dict[str, Any]:
    """What the numbers of a run depend on, as plain data.

    Args:
        runner (Runner): With its training loop built.

    Returns:
        dict: ``settings``, a flat dict from dotted keys of the config to
        values, the number of processes among them; ``epoch_clips`` and
        ``epoch_iters`` of a rank; ``videos``, a list of names, sizes in bytes
        and hashes of a sample of the content, where the data set has videos;
        its ``digest`` where it has images; ``versions`` of the packages.
    """
    loader = runner.train_dataloader
    images = getattr(loader.dataset, 'digest', None)
    settings = dict(world_size=runner.world_size)
    for section in _SECTIONS:
        settings.update(_flatten(section, runner.cfg.get(section)))
    return dict(
        settings=settings,
        versions=dict(
            dora_mm=__version__,
            mmengine=mmengine.__version__,
            torch=str(torch.__version__)),
        epoch_clips=len(loader.dataset),
        epoch_iters=len(loader),
        videos=[
            list(content_identity(video.path).values())
            for video in getattr(loader.dataset, 'videos', ())
        ] + ([images] if images else []))


def _flatten(name: str, value: Any) -> Iterator[Tuple[str, Any]]:
    """Dotted keys and leaves; parts of a list go by their type."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != '_scope_':
                yield from _flatten(f'{name}.{key}', item)
    elif isinstance(value, (list, tuple)) and any(
            isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            label = item.get('type', number) if isinstance(
                item, dict) else number
            if item.get('param_name') if isinstance(item, dict) else None:
                label = f'{label}({item["param_name"]})'
            yield from _flatten(f'{name}.{label}', item)
    elif isinstance(value, (list, tuple)):
        yield name, repr(list(value))
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield name, value
    else:
        yield name, type(value).__name__
