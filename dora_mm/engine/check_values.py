"""Values of a config that what reads them cannot work with."""
import difflib
import math
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from inspect import Parameter
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Optional, Union, get_args, get_origin

import mmengine.registry
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, Registry

from .config_settings import NAMES, REGISTRIES, Setting, dotted, walk_settings

_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_WORDS = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    type(None): 'None'
}
_PATHS = ('work_dir', 'load_from', 'train_dataloader.dataset.video',
          'train_dataloader.dataset.images')
# What mmengine takes and then trains not at all, without a checkpoint or up
# the gradient: the least value, and what else there is.
_LEAST = {
    'train_cfg.max_epochs': (1, ''),
    'train_cfg.max_iters': (1, ''),
    'train_cfg.val_interval': (1, ''),
    'train_dataloader.prefetch_factor': (1, ''),
    'optim_wrapper.clip_grad.max_norm': (0, ''),
    'auto_scale_lr.base_batch_size': (1, ''),
    'default_hooks.checkpoint.interval': (1, '-1 for never'),
    'default_hooks.checkpoint.max_keep_ckpts': (1, '-1 for all'),
    'param_scheduler.N.begin': (0, ''),
}


def check_values(cfg: Config, unused: Sequence[str] = ()) -> None:
    """Refuse values of another kind than what reads them, and unknown names.

    A whole number that is written as a float (1e5) is made one, where nothing
    else is read.

    What is read is told by annotations: of the Runner, of a data loader, and
    of what each ``type`` names; where there is none, by the default.

    Args:
        cfg (Config): With all options merged; changed in place.
        unused (Sequence[str]): Sections that are not looked at.

    Raises:
        ValueError: With the dotted key, what is wanted and the value.
    """
    settings = cfg.to_dict()
    scope = settings.get('default_scope', 'mmengine')
    if not isinstance(scope, str):
        _refuse('default_scope', 'a text', scope)
    if scope not in MODELS.children and not (scope.isidentifier()
                                             and find_spec(scope)):
        _refuse('default_scope', 'the name of an installed package', scope)
    with DefaultScope.overwrite_default_scope(scope):
        for setting in walk_settings(settings):
            if setting.path.partition('.')[0] not in unused:
                _check(setting)
                _make_whole(cfg, setting)
    if settings.get('log_level', 'INFO') not in _LEVELS:
        _refuse('log_level', f'one of {", ".join(_LEVELS)}',
                settings['log_level'])
    for key, value in dotted(settings):
        if key in _PATHS and value == '':  # which is the present folder
            _refuse(key, 'a path', value)
        least, never = _LEAST.get(re.sub(r'\.\d+', '.N', key), (None, ''))
        if least is not None and isinstance(
                value, Real) and value < least and not (never and value == -1):
            _refuse(key, f'at least {least}' + (never and f', or {never}'),
                    value)


def _check(setting: Setting) -> None:
    path, key, value, known, registry = setting
    if key == 'type' and not isinstance(value, str) and not callable(value):
        _refuse(path + key, 'the name of a class', value)
    if key in ('type', *NAMES) and isinstance(value, str):
        # What is deeper in a model may be of a registry of its own.
        is_known = key in NAMES or path.startswith(
            'default_hooks.') or path.rstrip('.0123456789').rpartition(
                '.')[2] in REGISTRIES
        if is_known and registry and not _is_registered(value, registry):
            _refuse(path + key, 'a name that is registered', value,
                    f'the nearest one is {_nearest(value, registry)}')
    elif known.get(key) is not None:
        kind = _kind(known[key])
        if value is not known[key].default and not _fits(value, kind):
            _refuse(path + key, _words(kind), value)
    elif path == 'default_hooks.' and not isinstance(value, dict):
        _refuse(path + key, 'the dict of a hook', value)


def _make_whole(cfg: Config, setting: Setting) -> None:
    path, key, value, known, _ = setting
    if not isinstance(value, float) or known.get(key) is None or known[
            key].annotation not in (int, Optional[int]):
        return
    part = cfg
    for step in path.split('.')[:-1]:
        part = part[int(step) if isinstance(part, (list, tuple)) else step]
    part[key] = int(value)


def _refuse(
        key: str,
        wanted: str,
        value: Any,
        remedy: str = 'correct it in the config or in --cfg-options') -> None:
    raise ValueError(f'{key} must be {wanted}, but got {value!r}: {remedy}')


def _is_registered(name: str, registry: Registry) -> bool:
    """In that registry, or in any: dicts below may be built by others."""
    others = (vars(mmengine.registry)[key] for key in mmengine.registry.__all__
              if key.isupper())
    scope = DefaultScope.get_current_instance().scope_name
    return any(
        _holds(item, key) for item in (registry, *others)
        for key in (name, f'{scope}.{name}'))


def _holds(registry: Registry, name: str) -> bool:
    try:
        return registry.get(name) is not None
    except RuntimeError:  # mmengine's answer to an unknown name with a dot
        return False


def _nearest(name: str, registry: Registry) -> str:
    own = DefaultScope.get_current_instance().scope_name
    names = {item: item for item in registry.module_dict}
    for scope, child in registry.children.items():
        prefix = '' if scope == own else f'{scope}.'
        names.update((item, prefix + item) for item in child.module_dict)
    bare = name.rpartition('.')[2]
    return names[difflib.get_close_matches(bare, names, 1, 0.)[0]]


def _kind(argument: Parameter) -> Any:
    """What an argument may be."""
    default = argument.default
    if argument.annotation is not Parameter.empty:
        return argument.annotation
    if isinstance(default, bool):
        return bool
    if isinstance(default, Integral):
        return Union[int, Sequence[int]]  # a size, say, or an index
    if isinstance(default, Real):
        return Union[float, Sequence[float]]
    return Union[dict, list] if isinstance(default, dict) else Any


def _fits(value: Any, kind: Any) -> bool:
    """Whether plain data is of a kind; True of what is not understood."""
    base, args = get_origin(kind) or kind, get_args(kind)
    if base in (Union, UnionType):
        return any(_fits(value, item) for item in args)
    if base is Literal:
        return value in args
    if base is Any or not isinstance(base, type) or not isinstance(
            value, (Real, str, list, tuple, dict, type(None))):
        return True
    if base in (bool, str, type(None)):
        return isinstance(value, base)
    if base in (int, float):
        return (isinstance(value, Real) and not isinstance(value, bool)
                and math.isfinite(value)
                and (base is float or value % 1 == 0))
    if issubclass(base, (list, tuple)) or base is Sequence:
        item = args[0] if args and len({*args} - {...}) == 1 else Any
        count = len(args) if base is tuple and ... not in args else 0
        return isinstance(value, (list, tuple)) and (
            not count or len(value) == count) and all(
                _fits(part, item) for part in value)
    if issubclass(base, (dict, Mapping)):
        return isinstance(value, dict)
    if base is object or issubclass(base, os.PathLike):
        return base is object or isinstance(value, str)
    # an object, which a config holds the settings of
    return isinstance(value, (list, tuple, dict))


def _words(kind: Any) -> str:
    base, args = get_origin(kind) or kind, get_args(kind)
    if base in (Union, UnionType):
        words = dict.fromkeys(map(_words, args))
        if 'a number' in words:
            words.pop('a dict', None)  # a tensor, which no config holds
        return ' or '.join(words)
    if base is Literal:
        return 'one of ' + ', '.join(map(repr, args))
    if base in _WORDS:
        return _WORDS[base]
    if issubclass(base, os.PathLike):
        return 'a text'
    if base is tuple and args and ... not in args:
        return f'a list of {len(args)}'
    if issubclass(base, (list, tuple)) or base is Sequence:
        return 'a list'
    return 'a dict'
