"""Keys of a config that nothing would read."""
import difflib
import logging
from typing import Any, Iterable, Mapping, Optional, Set

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from .config_settings import (REGISTRIES, RUNNER, dotted, known_arguments,
                              walk_settings)


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
        for path, key, _, known, _ in walk_settings(settings):
            if key not in known:
                near = _nearest(key, known, 0.85)
                if near and not _words(near) < _words(key):
                    _refuse('the config must have', path + key, near)
        for key in options or ():
            if key.partition('.')[0] == 'custom_imports':
                raise ValueError(
                    '--cfg-options must leave custom_imports alone, but got '
                    f'{key}: imports are done before; write it in a config')
            _check_option(settings, key, options)
            _check_variable(settings, key)


def _check_variable(settings: Mapping, option: str) -> None:
    """Refuse to change a variable when settings were made of it already."""
    name = option.partition('.')[0]
    if name not in settings or name in RUNNER and not (
            name == 'data_preprocessor'
            and name in settings.get('model', ())):
        return
    for key, value in dotted(settings):
        if key.endswith(f'.{name}') and value == settings[name]:
            _refuse('--cfg-options must be', option, key)
    print_log(
        f'{option} is a variable of the config: what the config made of it '
        'stays as it was',
        logger='current',
        level=logging.WARNING)


def _refuse(what: str, key: str, near: str) -> None:
    raise ValueError(f'{what} keys that something reads, but got {key}: did '
                     f'you mean {near}')


def _nearest(key: str, known: Iterable[str], cutoff: float) -> str:
    known = [name for name in known if not name.startswith('_')]
    return next(iter(difflib.get_close_matches(key, known, 1, cutoff)), '')


def _words(key: str) -> Set[str]:
    """Of them a variable may have one more: ``val_evaluator_coco``."""
    return {*filter(None, key.split('_'))}


def _is_slip(key: str, name: str) -> bool:
    """Whether one letter is another, or two have changed places."""
    wrong = [pair for pair in zip(key, name) if pair[0] != pair[1]]
    return len(key) == len(name) > 3 and (
        len(wrong) == 1 or len(wrong) == 2 and wrong[0] == wrong[1][::-1])


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
            known, is_all = known_arguments(path, part, registry)
            names = {*known, *part}
            near = _nearest(key, names, 0. if is_all else 0.85) or next(
                (name for name in names if _is_slip(key, name)), '')
            if key not in names and near:
                _refuse('--cfg-options must be', option, near)
            part = part.get(key)
        registry = REGISTRIES.get(key, registry)
        path += f'{key}.'
