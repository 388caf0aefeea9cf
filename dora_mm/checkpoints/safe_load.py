"""Reading checkpoint files without running their code; atomic writing."""
import argparse
import contextlib
import hashlib
import re
from pathlib import Path
from typing import Any, Callable, ContextManager, List, Optional, Union

import torch

from dora_mm.utils.atomic_file import atomic_file

# Names that occur in well-meant training checkpoints beside the tensors:
# authors' files hold their arguments and numpy learning rates, mmengine's hold
# the history of the logs. None of them is ever imported: each is read as an
# inert stand-in. An allow list would call the real objects, and mmengine's has
# builtins.getattr in it, which reaches every attribute.
_INERT_NAMES = (
    'argparse.Namespace',
    'builtins.getattr',
    'builtins.slice',
    'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy.dtype',
    'numpy.ndarray',
    'numpy.core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
    'numpy._core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
)


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


def _inert_classes() -> List[type]:
    """One stand-in class per known name, found by torch under that name."""
    classes = []
    for full_name in _INERT_NAMES:
        module, name = full_name.rsplit('.', 1)
        base = _InertNamespace if name == 'Namespace' else _Inert
        classes.append(
            type(name, (base, ), dict(__module__=module, __qualname__=name)))
    return classes


def _inert_globals() -> ContextManager:
    # torch < 2.5 has no such context: files with more than tensors in them
    # are then refused, never read in a less safe way.
    safe_globals = getattr(torch.serialization, 'safe_globals', None)
    if safe_globals is None:
        return contextlib.nullcontext()
    return safe_globals(_inert_classes())


def load_trusted(path: Union[str, Path], trust: bool = False) -> Any:
    """Read a checkpoint file on the CPU; run no code of the file.

    Tensors and plain Python data are read by torch's restricted unpickler.
    The few other objects that authors' and mmengine's checkpoints are known
    to hold become inert stand-ins (an ``argparse.Namespace`` keeps its
    attributes). A file that names anything else is refused.

    Args:
        path (str | Path): A file written by ``torch.save``.
        trust (bool): Unpickle with full rights, which RUNS whatever code the
            file names. Defaults to False.

    Returns:
        object: What was saved, tensors on the CPU.

    Raises:
        ValueError: If the file is not there, is damaged, is a TorchScript
            archive, or names an object that is not allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'checkpoint {path} is not a file: check the path')
    if trust:
        return torch.load(path, map_location='cpu', weights_only=False)
    try:
        with _inert_globals():
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # bytes of a stranger can raise anything
        named = re.search(r'GLOBAL ([\w.]+)', str(error))
        if named:
            raise ValueError(
                f'{path} names the Python object {named.group(1)!r}; reading '
                'it could run code, so the file is refused. If you trust '
                'whoever wrote it, pass --trust (trust=True)') from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'{path} cannot be read as a checkpoint without running code '
            f'({reason}): it is damaged, not written by torch.save, or needs '
            '--trust (trust=True)') from error


def sha256_of(path: Union[str, Path]) -> str:
    """Hash a file.

    Args:
        path (str | Path): The file.

    Returns:
        str: 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def atomic_save(
        data: Any,
        path: Union[str, Path],
        verify: Optional[Callable[[Path], None]] = None,
        name_with_hash: Optional[Callable[[Path, str],
                                          Path]] = None) -> Path:
    """Save with ``torch.save`` so that a file is there whole or not at all.

    See :func:`atomic_file`; the file is verified before it is moved.

    Args:
        data (object): What to save.
        path (str | Path): The file to write, replaced if it exists.
        verify (callable, optional): Called with the temporary file's path;
            what it raises stops the saving.
        name_with_hash (callable, optional): ``(path, sha256) -> path``, the
            final name where it depends on the content.

    Returns:
        Path: The file written.

    Raises:
        ValueError: If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f'folder {path.parent} of the output file {path} '
                         'does not exist: make it first')
    with atomic_file(path) as file:
        with open(file.temporary, 'xb') as stream:
            torch.save(data, stream)
        if verify is not None:
            verify(file.temporary)
        if name_with_hash is not None:
            file.path = name_with_hash(path, sha256_of(file.temporary))
    return file.path
