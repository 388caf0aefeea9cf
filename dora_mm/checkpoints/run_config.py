"""The config that a runner checkpoint holds, read as data."""
import ast
import re
from collections.abc import Mapping
from typing import Any, Iterator, Tuple

from mmengine.config import Config

from .view_settings import nest_view_settings

# A registry imports whatever object a dotted type names.
_OWN_TYPE = re.compile(r'(dora_mm\.)?\w+')
# Names in the configs of older checkpoints, and what they are called now.
_RENAMED_TYPES = {
    'LabelledImages': 'ClassFolderDataset',
    'MaskedImages': 'SemanticMaskDataset',
    'BoxedImages': 'ObjectBoxDataset',
}


def checkpoint_config(checkpoint: Mapping) -> Config:
    """Read the config text of a runner checkpoint without executing it.

    Args:
        checkpoint (dict): What :func:`load_trusted` returned.

    Returns:
        Config: The config of the run, in today's names.

    Raises:
        ValueError: If there is none, if it is more than plain data, or if its
            model has parts that are not dora_mm's own.
    """
    text = (checkpoint.get('meta') or {}).get('cfg')
    if not isinstance(text, str):
        raise ValueError('the checkpoint holds no config, as converted ones '
                         'do not: give the config file with --config')
    try:
        cfg = {
            statement.targets[0].id: _value(statement.value)
            for statement in ast.parse(text).body
        }
    except (AttributeError, SyntaxError, ValueError) as error:
        raise ValueError(
            'the config in the checkpoint is more than plain data and is not '
            f'executed ({error}): give the config file with --config'
        ) from error
    for name in _types(cfg.get('model', {})):
        if not _OWN_TYPE.fullmatch(name):
            raise ValueError(
                f'the config in the checkpoint names {name!r}, which is not '
                'part of dora_mm: give the config file with --config')
    if any(name == 'trust' for name in _keys(cfg.get('model', {}))):
        raise ValueError('the config in the checkpoint asks to trust another '
                         'file: give the config file with --config')
    return Config(_renamed(cfg))


def check_runnable(cfg: Mapping) -> None:
    """Refuse the config of a checkpoint that would run more than our code.

    Args:
        cfg (dict): Of :func:`checkpoint_config`, to build a Runner from.

    Raises:
        ValueError: If a type is the path of an object, a module is imported
            that is not of dora_mm, or another file is trusted.
    """
    bad = [
        name for name in _types(cfg, skip=())
        if not _OWN_TYPE.fullmatch(name)
    ]
    imports = cfg.get('custom_imports') or {}
    imports = imports.get('imports') if isinstance(imports, Mapping) else None
    bad += [
        name for name in
        ([imports] if isinstance(imports, str) else imports or ())
        if not re.fullmatch(r'dora_mm(\.\w+)*', str(name))
    ]
    bad += [name for name in _keys(cfg) if name == 'trust']
    if bad:
        raise ValueError(
            'the config in the checkpoint must name parts of dora_mm and of '
            f'the OpenMMLab packages, but got {bad[0]!r}: if you trust '
            'whoever wrote it, pass --trust')


def _value(node: ast.expr) -> Any:
    """The value of an expression made of literals and ``dict(...)``."""
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and node.func.id == 'dict'
                and not node.args):
            raise ValueError(f'it calls {ast.unparse(node.func)}')
        pairs = {item.arg: _value(item.value) for item in node.keywords}
        if None in pairs:
            raise ValueError('it unpacks a dict')
        return pairs
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values)
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        kind = list if isinstance(node, ast.List) else tuple
        return kind(_value(item) for item in node.elts)
    return ast.literal_eval(node)


def _keys(value: Any) -> Iterator[str]:
    """The keys of all dicts."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys(item)


# An init_cfg is of no use beside trained weights.
def _types(value: Any, skip: Tuple[str, ...] = ('init_cfg', )
           ) -> Iterator[str]:
    """All strings in the place of a type."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == 'type':
                yield str(item)
            elif key not in skip:
                yield from _types(item, skip)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _types(item, skip)


def _renamed(value: Any) -> Any:
    """Plain data with the types of older checkpoints renamed."""
    if isinstance(value, (list, tuple)):
        return type(value)(_renamed(item) for item in value)
    if not isinstance(value, dict):
        return value
    value = {key: _renamed(item) for key, item in value.items()}
    scope, dot, name = str(value.get('type')).rpartition('.')
    if scope in ('', 'dora_mm') and name in _RENAMED_TYPES:
        value['type'] = scope + dot + _RENAMED_TYPES[name]
    if name == 'ClipViewPreprocessor':
        value = nest_view_settings(value)
    return value
