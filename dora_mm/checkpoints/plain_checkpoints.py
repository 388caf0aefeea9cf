"""Files that mmengine's Runner and ``init_cfg`` load, without their code."""
import os
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Tuple, Union

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader

from .safe_load import load_trusted
from .stand_ins import revive

# Settings of the OpenMMLab packages whose value is a file of weights.
_WEIGHTS = ('load_from', 'checkpoint', 'pretrained', 'resume_from')


def load_plain(path: Union[str, Path]) -> Any:
    """Read a checkpoint as data, ready for a Runner.

    mmengine reads a file that its allow list does not cover with full rights,
    and that list holds ``getattr``. Here a file is tensors, plain data,
    numpy's numbers and log histories, or refused. The text under
    ``meta['config']``, which mmengine executes, is left out.

    Args:
        path (str | Path): A file written by ``torch.save``.

    Returns:
        object: What was saved, tensors on the CPU.

    Raises:
        ValueError: If the file is missing, damaged, or holds more than that.
    """
    if '://' in str(path):
        raise ValueError(f'a checkpoint must be a file, but got {path}: '
                         'download it first, or pass --trust')
    path = Path(path).expanduser()
    checkpoint = load_trusted(path)
    try:
        checkpoint = revive(checkpoint)
    except ValueError as error:
        raise ValueError(
            f'{path} must hold tensors and plain data, but {error}: if you '
            'trust whoever wrote it, pass --trust') from error
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict):
        meta.pop('config', None)
    return checkpoint


@contextmanager
def plain_checkpoints(trust: bool = False) -> Iterator[None]:
    """Have mmengine load all checkpoints by :func:`load_plain`.

    Args:
        trust (bool): Leave it as it is, which RUNS whatever code a file
            names. Defaults to False.
    """
    if trust:
        yield
        return
    before = vars(CheckpointLoader)['load_checkpoint']
    CheckpointLoader.load_checkpoint = staticmethod(_load)
    try:
        yield
    finally:
        CheckpointLoader.load_checkpoint = before


def _load(filename: str,
          map_location: Any = None,
          logger: Optional[str] = 'current') -> Any:
    checkpoint = load_plain(filename)
    print_log(f'Loads checkpoint from path: {filename}', logger=logger)
    return checkpoint


def check_named_files(cfg: Any) -> None:
    """Check the files that the config of another program names.

    Args:
        cfg (dict): Settings. Of the strings in them those count that are the
            value of a setting for weights, or name a file that is pickled.

    Raises:
        ValueError: If one of the files is refused by :func:`load_plain`.
    """
    for key, value in _strings('', cfg):
        if key in _WEIGHTS or _is_pickled(value):
            load_plain(value)


def _strings(key: str, value: Any) -> Iterator[Tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(name, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(key, item)


def _is_pickled(name: str) -> bool:
    """Whether this is a file that ``torch.load`` would unpickle."""
    try:
        path = os.path.expanduser(name)
        if not os.path.isfile(path):
            return False
        with open(path, 'rb') as file:
            if file.read(1) == b'\x80':
                return True
        with zipfile.ZipFile(path) as archive:
            return any(item.endswith('.pkl') for item in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
