"""Reading checkpoint files without running their code; atomic writing."""
import hashlib
import re
import zipfile
from pathlib import Path
from tarfile import is_tarfile
from typing import Any, Callable, Optional, Union

import torch

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.newest_checkpoint import reads_whole
from .stand_ins import stand_ins


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
    # torch reads weights whose checksum is wrong.
    with open(path, 'rb') as file:
        head = file.read(4)
    if not head.startswith((b'PK', b'\x80')) and not is_tarfile(path):
        raise ValueError(f'{path} must be a checkpoint, but torch.save did '
                         'not write it: check the path')
    if head == b'PK\3\4' and not reads_whole(path):
        raise ValueError(f'{path} cannot be read as a checkpoint: it is '
                         'damaged, its checksums do not fit; take another')
    if trust:
        return torch.load(path, map_location='cpu', weights_only=False)
    # torch 2.4 loads them in spite of weights_only.
    if head == b'PK\3\4' and any(
            name.endswith('/constants.pkl')
            for name in zipfile.ZipFile(path).namelist()):
        raise ValueError(f'{path} must hold tensors, but is a TorchScript '
                         'archive, which is code: save its state_dict()')
    try:
        with stand_ins():
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
