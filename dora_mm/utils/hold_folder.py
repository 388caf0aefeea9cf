import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Set, Union

from .check_output import make_output_folder

_handles: Set[int] = set()


def _close_all() -> None:
    """Let data workers not hold what their killed parent held."""
    while _handles:
        os.close(_handles.pop())


os.register_at_fork(after_in_child=_close_all)


def try_lock(handle: int) -> bool:
    """Lock an open file or folder until it is closed.

    Some network file systems cannot lock: there it is nobody's.

    Args:
        handle (int): Its descriptor.

    Returns:
        bool: Whether no other process has it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@contextmanager
def hold_folder(name: str, folder: Union[str, Path]) -> Iterator[None]:
    """Let one process of a machine at a time write into a folder.

    The folder itself is locked, so nothing is left behind, and the lock goes
    with the process. Where the disk cannot lock, nobody is refused.

    Args:
        name (str): Option or argument, for the message.
        folder (str | Path): Made if it is missing.

    Raises:
        ValueError: If another process holds it, or nothing can be written
            there.
    """
    make_output_folder(name, folder)
    handle = os.open(folder, os.O_RDONLY)
    _handles.add(handle)
    try:
        if not try_lock(handle):
            raise ValueError(
                f'{name} must not be in use, but got {folder}, where another '
                'program of dora_mm is writing: choose another, or wait until '
                'that has ended')
        yield
    finally:
        if handle in _handles:  # not in a fork
            _handles.remove(handle)
            os.close(handle)
