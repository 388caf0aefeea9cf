"""Values of a config that are not of the kind that reads them."""
import math
import os
from collections.abc import Mapping, Sequence
from inspect import Parameter
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .check_keys import walk_settings

_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
_WORDS = {
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    type(None): 'None'
}


def check_values(cfg: Config) -> None:
    """Refuse values of another kind than what reads them.

    What is read is told by annotations: of the Runner, of a data loader, and
    of what each ``type`` names; where there is none, by the default.

    Args:
        cfg (Config): With all options merged.

    Raises:
        ValueError: With the dotted key, what is wanted and the value.
    """
    settings = cfg.to_dict()
    scope = settings.get('default_scope')
    with DefaultScope.overwrite_default_scope(
            scope if isinstance(scope, str) else 'mmengine'):
        for path, key, value, known in walk_settings(settings):
            if key == 'type':
                if not isinstance(value, str) and not callable(value):
                    _refuse(path + key, 'the name of a class', value)
            elif known.get(key) is not None:
                kind = _kind(known[key])
                if value is not known[key].default and not _fits(value, kind):
                    _refuse(path + key, _words(kind), value)
            elif path == 'default_hooks.' and not isinstance(value, dict):
                _refuse(path + key, 'the dict of a hook', value)
    if settings.get('log_level', 'INFO') not in _LEVELS:
        _refuse('log_level', f'one of {", ".join(_LEVELS)}',
                settings['log_level'])


def _refuse(key: str, wanted: str, value: Any) -> None:
    raise ValueError(f'{key} must be {wanted}, but got {value!r}: correct it '
                     'in the config or in --cfg-options')


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
                and not math.isnan(value)
                and (base is float or value % 1 == 0))
    if issubclass(base, (list, tuple)) or base is Sequence:
        item = args[0] if args and len({*args} - {...}) == 1 else Any
        return isinstance(value, (list, tuple)) and all(
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
    if issubclass(base, (list, tuple)) or base is Sequence:
        return 'a list'
    return 'a dict'
