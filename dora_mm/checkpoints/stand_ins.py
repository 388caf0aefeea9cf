"""Objects of checkpoints beside tensors: read as data, made without calls."""
import argparse
import codecs
import re
from contextlib import contextmanager
from typing import Any, Dict, Iterator

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
# Names that occur in well-meant training checkpoints beside the tensors:
# authors' files hold their arguments and numpy learning rates, mmengine's hold
# the history of the logs. None of them is ever imported: each is read as an
# inert stand-in. An allow list would call the real objects, and mmengine's has
# builtins.getattr in it, which reaches every attribute.
_NAMES = (
    'argparse.Namespace',
    'builtins.getattr',
    'builtins.slice',
    _HISTORY,
    'numpy.dtype',
    'numpy.ndarray',
    'numpy.core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
)
_STATISTICS = {'min', 'max', 'mean', 'current'}
_DEPTH = 64


class _Inert:
    """Stand-in for an object of a checkpoint that is not a tensor.

    Whatever the file says to do with it, it only keeps the arguments.
    """

    def __new__(cls, *args: Any) -> '_Inert':
        self = super().__new__(cls)
        self.args, self.state = args, None
        return self

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _InertNamespace(_Inert, argparse.Namespace):
    """Arguments of a run, readable as attributes, compared as data."""

    def __new__(cls, *args: Any) -> '_InertNamespace':
        return argparse.Namespace.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise ValueError('the state of an argparse.Namespace must be a '
                             f'dict, but got {type(state).__name__}')
        vars(self).update(state)


def _make_class(full_name: str) -> type:
    """A stand-in that torch finds under the name of the real object."""
    module, name = full_name.rsplit('.', 1)
    base = _InertNamespace if name == 'Namespace' else _Inert
    return type(name, (base, ), dict(__module__=module, __qualname__=name))


_CLASSES: Dict[str, type] = {name: _make_class(name) for name in _NAMES}
# Bytes in pickles of protocol 2, which torch itself lets through from 2.5 on.
_CALLED = [codecs.encode] if torch.__version__ < '2.5' else []


@contextmanager
def stand_ins() -> Iterator[None]:
    """Let torch's restricted unpickler make stand-ins, for a while."""
    serialization = torch.serialization
    before = serialization.get_safe_globals()
    serialization.clear_safe_globals()
    serialization.add_safe_globals([*_CLASSES.values(), *_CALLED])
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def revive(value: Any) -> Any:
    """Make what a runner's checkpoint holds out of stand-ins.

    That is tensors, plain data, arrays and scalars of numbers of numpy's,
    slices, and the log histories of mmengine. All are built from bytes and
    numbers here; nothing that the file names is called.

    Args:
        value (object): What :func:`load_trusted` read; dicts and lists in it
            are changed in place.

    Returns:
        object: Without stand-ins, an ``argparse.Namespace`` aside.

    Raises:
        ValueError: If there is anything else, or 64 levels of it.
    """
    return _Reviver().visit(value, 0)


class _Reviver:
    """A walk over a checkpoint; what comes twice is visited once."""

    def __init__(self) -> None:
        self._seen: Dict[int, tuple] = {}

    def visit(self, item: Any, depth: int) -> Any:
        if not isinstance(item, (dict, list, tuple, _Inert)):
            return item
        if depth > _DEPTH:
            raise ValueError(f'it is nested more than {_DEPTH} levels deep')
        if id(item) in self._seen:
            return self._seen[id(item)][1]
        # The original is kept: a freed one would give its id away.
        self._seen[id(item)] = item, item
        result = self._make(item, depth + 1)
        self._seen[id(item)] = item, result
        return result

    def _make(self, item: Any, depth: int) -> Any:
        if isinstance(item, _InertNamespace):
            self.visit(vars(item), depth)
            return item
        if isinstance(item, _Inert):
            return self._object(item, depth)
        if isinstance(item, tuple):
            return tuple(self.visit(part, depth) for part in item)
        pairs = item.items() if isinstance(item, dict) else enumerate(item)
        for key, part in list(pairs):
            if isinstance(key, _Inert):
                raise ValueError('a key of a dict is an object')
            item[key] = self.visit(part, depth)
        return item

    def _object(self, item: _Inert, depth: int) -> Any:
        name = f'{type(item).__module__}.{type(item).__name__}'
        try:
            if name == _HISTORY:
                return self._history(item.state, depth)
            if name == 'builtins.slice':
                return slice(*(None if n is None else int(n)
                               for n in item.args))
            if name.endswith('.scalar'):
                dtype, data = item.args
                number, = np.frombuffer(data, _dtype(dtype))
                return number
            if name.endswith('._reconstruct'):
                return _array(*item.state)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(f'its {name} is not as expected ({error})')
        raise ValueError(f'it holds a {name} outside a log history')

    def _history(self, state: dict, depth: int) -> HistoryBuffer:
        for method in state.get('statistics_methods', {}).values():
            owner, name = method.args
            if type(method) is not _CLASSES['builtins.getattr'] or (
                    owner is not _CLASSES[_HISTORY]
                    or name not in _STATISTICS):
                raise ValueError(f'it takes the attribute {name!r}')
        values, counts = (
            self.visit(state[name], depth)
            for name in ('_log_history', '_count_history'))
        if len(values) != len(counts):
            raise ValueError('values and counts differ in number')
        return HistoryBuffer(values, counts, int(state['max_length']))


def _dtype(item: Any) -> np.dtype:
    """A type of numbers; others could hold pointers to objects."""
    code = item.args[0]
    if type(item) is not _CLASSES['numpy.dtype'] or not re.fullmatch(
            r'b1|[iu][1248]|f[248]', code):
        raise ValueError(f'its type {code!r} is not one of numbers')
    order = item.state[1] if item.state else '='
    return np.dtype(code).newbyteorder(order)


def _array(version: int, shape: tuple, dtype: Any, is_fortran: bool,
           data: bytes) -> np.ndarray:
    flat = np.frombuffer(data, _dtype(dtype))
    return flat.reshape(shape, order='F' if is_fortran else 'C').copy()
