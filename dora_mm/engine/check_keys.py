"""Keys of a config that nothing would read."""
import difflib
import inspect
import sys
from inspect import Parameter
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from mmengine.config import Config
from mmengine.registry import (DATA_SAMPLERS, DATASETS, HOOKS, LOOPS, METRICS,
                               MODELS, OPTIM_WRAPPERS, OPTIMIZERS,
                               PARAM_SCHEDULERS, TRANSFORMS, DefaultScope,
                               Registry)
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.utils.data import DataLoader

Arguments = Mapping[str, Parameter]

# What a dict under a key is built by; a dict below inherits that.
_REGISTRIES = dict(
    model=MODELS,
    data_preprocessor=MODELS,
    default_hooks=HOOKS,
    custom_hooks=HOOKS,
    mask=TRANSFORMS,
    dataset=DATASETS,
    sampler=DATA_SAMPLERS,
    pipeline=TRANSFORMS,
    optim_wrapper=OPTIM_WRAPPERS,
    optimizer=OPTIMIZERS,
    param_scheduler=PARAM_SCHEDULERS,
    train_cfg=LOOPS,
    test_cfg=LOOPS,
    test_evaluator=METRICS)


def _signature(function: Any) -> Dict[str, Parameter]:
    """Arguments by name; an annotation that is written as text is read."""
    found = dict(inspect.signature(function).parameters)
    names = vars(sys.modules[getattr(function, '__module__', 'builtins')])
    for name, argument in found.items():
        if isinstance(argument.annotation, str):
            try:
                kind = eval(argument.annotation, names)
            except Exception:  # of a name that only a type checker knows
                kind = Parameter.empty
            found[name] = argument.replace(annotation=kind)
    return found


def _named(**kinds: Any) -> Dict[str, Parameter]:
    return {
        name: Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind)
        for name, kind in kinds.items()
    }


_LOADER = {**_signature(DataLoader), **_named(num_batch_per_epoch=int)}
# All that is read of a config as a whole; the rest are its variables. Without
# hooks a run has no guards, and its teacher stays as it was.
RUNNER = {
    **_signature(Runner),
    **_named(
        default_hooks=dict,
        custom_hooks=list,
        custom_imports=dict,
        runner_type=str,
        model_wrapper_cfg=Optional[dict],
        find_unused_parameters=bool)
}
# What the Runner reads of dicts that have no type.
_FIXED = {
    'train_dataloader': _LOADER,
    'val_dataloader': _LOADER,
    'test_dataloader': _LOADER,
    'env_cfg': _named(
        cudnn_benchmark=bool, mp_cfg=dict, dist_cfg=dict, resource_limit=int),
    'env_cfg.mp_cfg': _signature(set_multi_processing),
    'auto_scale_lr': _named(enable=bool, base_batch_size=int),
    'randomness': _named(
        seed=Optional[int], deterministic=bool, diff_rank_seed=bool)
}
# What mmengine takes out first, and what goes with --amp.
_SPECIAL = {
    **_named(
        constructor=str,
        paramwise_cfg=Optional[dict],
        dtype=Optional[str],
        convert_to_iter_based=bool),
    **dict.fromkeys(('type', '_scope_', '_delete_', 'loss_scale'))
}
_HOOKS = _named(
    **dict.fromkeys(('runtime_info', 'timer', 'sampler_seed', 'logger',
                     'param_scheduler', 'checkpoint'), Optional[dict]))


def check_keys(cfg: Config, options: Optional[Mapping[str, Any]]) -> None:
    """Refuse misspelt keys of a config, and unknown ones of the command line.

    A config may hold variables of its own, so there only what nearly is the
    name of an argument is refused: of the Runner, of a data loader, or of what
    a ``type`` names. An option must be a key of the config or such a name.

    Args:
        cfg (Config): Before the options are merged.
        options (dict, optional): From dotted keys to values.

    Raises:
        ValueError: With the key and the nearest known one.
    """
    settings = cfg.to_dict()
    with DefaultScope.overwrite_default_scope(
            settings.get('default_scope') or 'mmengine'):
        for path, key, _, known in walk_settings(settings):
            if key not in known:
                near = _nearest(key, known, 0.85)
                if near:
                    _refuse('the config must have', path + key, near)
        for key in options or ():
            if key.partition('.')[0] == 'custom_imports':
                raise ValueError(
                    '--cfg-options must leave custom_imports alone, but got '
                    f'{key}: imports are done before; write it in a config')
            _check_option(settings, key, options)


def _refuse(what: str, key: str, near: str) -> None:
    raise ValueError(f'{what} keys that something reads, but got {key}: did '
                     f'you mean {near}')


def _nearest(key: str, known: Iterable[str], cutoff: float) -> str:
    known = [name for name in known if not name.startswith('_')]
    return next(iter(difflib.get_close_matches(key, known, 1, cutoff)), '')


def _is_slip(key: str, name: str) -> bool:
    """Whether one letter is another, or two have changed places."""
    wrong = [pair for pair in zip(key, name) if pair[0] != pair[1]]
    return len(key) == len(name) > 3 and (
        len(wrong) == 1 or len(wrong) == 2 and wrong[0] == wrong[1][::-1])


def walk_settings(
    part: Any,
    path: str = '',
    registry: Optional[Registry] = None
) -> Iterator[Tuple[str, str, Any, Arguments]]:
    """Each setting of dicts of which it is known what is read.

    Args:
        part (Any): A config as plain data, or a part of one.
        path (str): Where it is: '' or dotted keys, with a dot at the end.
        registry (Registry, optional): Builds dicts of ``part``.

    Yields:
        tuple: ``path`` of the dict, key, value, and the arguments that the
        dict is read as, by name; None for one of which nothing is known.
    """
    if isinstance(part, (list, tuple)):
        for number, item in enumerate(part):
            yield from walk_settings(item, f'{path}{number}.', registry)
    if not isinstance(part, dict):
        return
    known = _known(path, part, registry)[0]
    for key, item in part.items():
        if known or registry and key == 'type':
            yield path, key, item, known
        yield from walk_settings(item, f'{path}{key}.',
                                 _REGISTRIES.get(key, registry))


def _known(path: str, part: dict,
           registry: Optional[Registry]) -> Tuple[Arguments, bool]:
    """What is read of a dict, and whether this is all."""
    if not path:
        return RUNNER, True
    section = path[:-1]
    if section in _FIXED:
        return _FIXED[section], True
    if section == 'default_hooks':
        return _HOOKS, False
    found = registry and 'type' in part and _arguments(part['type'], registry)
    return found or ({}, False)


def _arguments(name: Any,
               registry: Registry) -> Optional[Tuple[Arguments, bool]]:
    try:
        built = registry.get(name) if isinstance(name, str) else name
        classes = inspect.getmro(built)
    except Exception:  # not there, or a function: building it will tell
        return None
    known = dict(_SPECIAL)
    for cls in classes:
        if '__init__' in vars(cls):
            given = _signature(cls.__init__)
            known = {**given, **known}
            if Parameter.VAR_KEYWORD not in {
                    item.kind for item in given.values()}:
                return known, True
    return known, False


def _check_option(cfg: Mapping, option: str,
                  options: Mapping[str, Any]) -> None:
    part, registry, path = cfg, None, ''
    for key in option.split('.'):
        if isinstance(part, (list, tuple)):
            part = part[int(key)] if key.isdigit() and int(key) < len(
                part) else None
        elif isinstance(part, dict) and f'{path}type' in options:
            part = part.get(key)  # another type has other arguments
        elif isinstance(part, dict):
            known, is_all = _known(path, part, registry)
            names = {*known, *part}
            near = _nearest(key, names, 0. if is_all else 0.85) or next(
                (name for name in names if _is_slip(key, name)), '')
            if key not in names and near:
                _refuse('--cfg-options must be', option, near)
            part = part.get(key)
        registry = _REGISTRIES.get(key, registry)
        path += f'{key}.'
