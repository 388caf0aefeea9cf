"""Keys of a config that nothing would read."""
import difflib
import inspect
from typing import Any, Iterable, Iterator, Mapping, Optional, Set, Tuple

from mmengine.config import Config
from mmengine.registry import (DATA_SAMPLERS, DATASETS, HOOKS, LOOPS, MODELS,
                               OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS,
                               TRANSFORMS, DefaultScope, Registry)
from mmengine.runner import Runner
from torch.utils.data import DataLoader

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
    train_cfg=LOOPS)
_LOADER = {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}
_RUNNER = {
    *inspect.signature(Runner).parameters, 'custom_imports', 'runner_type',
    'find_unused_parameters'
}
# What the Runner reads of dicts that have no type.
_FIXED = dict(
    train_dataloader=_LOADER,
    val_dataloader=_LOADER,
    test_dataloader=_LOADER,
    env_cfg={'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    auto_scale_lr={'enable', 'base_batch_size'},
    randomness={'seed', 'deterministic', 'diff_rank_seed'})
# What mmengine takes out first, and what goes with --amp.
_SPECIAL = {
    'type', '_scope_', '_delete_', 'constructor', 'paramwise_cfg',
    'loss_scale', 'dtype'
}
_HOOKS = {
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler',
    'checkpoint'
}


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
        for path, key, known in _walk('', settings, None):
            if key not in known:
                near = _nearest(key, known, 0.85)
                if near:
                    _refuse('the config must have', path + key, near)
        for key in options or ():
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


def _walk(path: str, part: Any, registry: Optional[Registry]
          ) -> Iterator[Tuple[str, str, Set[str]]]:
    """Each key of dicts of which it is known what is read."""
    if isinstance(part, (list, tuple)):
        for number, item in enumerate(part):
            yield from _walk(f'{path}{number}.', item, registry)
    if not isinstance(part, dict):
        return
    known = _known(path, part, registry)[0]
    for key, item in part.items():
        if known:
            yield path, key, known
        yield from _walk(f'{path}{key}.', item,
                         _REGISTRIES.get(key, registry))


def _known(path: str, part: dict,
           registry: Optional[Registry]) -> Tuple[Set[str], bool]:
    """Names of what is read of a dict, and whether these are all."""
    if not path:
        return _RUNNER, True
    section = path[:-1]
    if section in _FIXED:
        return _FIXED[section], True
    if section == 'default_hooks':
        return _HOOKS, False
    found = registry and 'type' in part and _arguments(part['type'], registry)
    return found or (set(), False)


def _arguments(name: Any,
               registry: Registry) -> Optional[Tuple[Set[str], bool]]:
    try:
        built = registry.get(name) if isinstance(name, str) else name
        classes = inspect.getmro(built)
    except Exception:  # not there, or a function: building it will tell
        return None
    known = set(_SPECIAL)
    for cls in classes:
        if '__init__' in vars(cls):
            given = inspect.signature(cls.__init__).parameters.values()
            kinds = {item.kind for item in given}
            known |= {item.name for item in given}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
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
