import errno
import logging
import os
import re
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

from .hold_folder import hold_folder
from .launch import rank_of
from .read_json import read_json
from .this_host import this_host
from .write_json import write_json

# Seconds between two heartbeats, and without one after which a lock of
# another host counts as stale.
BEAT, STALE = 20, 120
_LEFTOVER = re.compile(r'\.(iter|epoch)_\d+\.[0-9a-f]{8}\.pth|'
                       r'\.last_checkpoint\.[0-9a-f]{8}')
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def hold_work_folder(work_dir: Union[str, Path],
                     launcher: str = 'none') -> Iterator[None]:
    """Let one run at a time write into a folder.

    The main process of a run keeps ``.run.json`` there, with host, process,
    start and a heartbeat, and removes what a killed run left half saved. The
    lock of a process that has ended does not count. Whether a process of
    another host or container runs cannot be seen: its lock counts until its
    heartbeat is two minutes old. Other ranks take no lock.

    Where the disk is full the run ends, also if only a line of a log could not
    be written, with what could not be written and what is kept.

    Args:
        work_dir (str | Path): The folder, made if it is missing.
        launcher (str): What started the processes, see :func:`rank_of`.
            Defaults to 'none', where each process is a run of its own.

    Raises:
        ValueError: If another run holds the folder, or it is a file.
        OSError: If the disk is full.
    """
    if rank_of(launcher):
        parent = os.getppid()
        threading.Thread(
            target=_end_with, args=(parent, ), daemon=True).start()
        with _end_if_full(Path(work_dir)):
            yield
        return
    folder = Path(work_dir)
    path = folder / '.run.json'
    with hold_folder('--work-dir', folder):
        mine = _take(path)
    for leftover in folder.glob('.*'):
        if _LEFTOVER.fullmatch(leftover.name):
            leftover.unlink()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            try:
                write_json(path, dict(mine, beat=time.time()))
            except OSError:  # a full disk ends the run elsewhere
                pass

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    threading.Thread(
        target=_end_with, args=(os.getppid(), ), daemon=True).start()
    try:
        with _end_if_full(folder):
            yield
    finally:
        done.set()
        thread.join()
        path.unlink(missing_ok=True)


@contextmanager
def _end_if_full(folder: Path) -> Iterator[None]:
    """Say what could not be written, which the error of a write does not."""
    before = logging.FileHandler.handleError

    def handle(handler: logging.FileHandler,
               record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            before(handler, record)
            return
        error.filename = error.filename or handler.baseFilename
        raise error

    logging.FileHandler.handleError = handle
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        try:
            name = (folder / 'last_checkpoint').read_text().strip()
        except OSError:
            name = ''
        kept = f'{folder / Path(name).name} is whole' if name else \
            'no checkpoint was saved before'
        raise OSError(
            f'the disk must have room for {error.filename or folder}, but got '
            f'"{error.strerror}": {kept}; make room and go on with --resume'
        ) from error
    finally:
        logging.FileHandler.handleError = before


def _take(path: Path) -> dict:
    """Write the lock, if nobody has it."""
    owner = _read(path)
    if owner and _is_alive(owner):
        raise ValueError(
            f'work_dir must not be in use, but got {path.parent}, where '
            f'process {owner["pid"]} on {owner["host"]} has trained since '
            f'{owner["since"]}: choose another --work-dir, or end that run')
    if owner:
        print(f'{path.parent}: the run of process {owner["pid"]} on '
              f'{owner["host"]} was ended; its lock is taken over')
    mine = dict(
        host=this_host(),
        pid=os.getpid(),
        born=_birth(os.getpid()),
        since=time.strftime('%Y-%m-%d %H:%M:%S'))
    write_json(path, dict(mine, beat=time.time()))
    return mine


def _end_with(launcher: int) -> None:
    """End a rank whose torchrun was killed."""
    if 'TORCHELASTIC_RUN_ID' not in os.environ:
        return
    while os.getppid() == launcher:
        time.sleep(5)
    print('error: torchrun has ended, so this rank ends', flush=True)
    os._exit(1)


def _read(path: Path) -> dict:
    """The lock; none if it is not whole."""
    owner = read_json(path)
    kinds = dict(host=str, pid=int, since=str, beat=(int, float))
    if isinstance(owner, dict) and all(
            isinstance(owner.get(name), kind) for name, kind in kinds.items()):
        return owner
    return {}


def _is_alive(owner: dict) -> bool:
    if owner['host'] == this_host():
        born = _birth(owner['pid'])
        return born is not None and born == owner.get('born')
    return time.time() - owner['beat'] < STALE


def _birth(pid: int) -> Union[str, None]:
    """When a process of this host began; None if there is none."""
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
        stat = stat.rpartition(')')[2].split()
        # Ended, though nobody asks how: usual in containers.
        return None if stat[0] in 'ZX' else stat[19]
    except OSError:
        pass
    try:  # no /proc: whether there is one is all that can be told
        os.kill(pid, 0)
        return ''
    except (OSError, TypeError, OverflowError):
        return None
