import ctypes
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from os import PathLike
from typing import Callable, List, Sequence, TypeVar, Union

Result = TypeVar('Result')
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def run_side_by_side(calls: Sequence[Callable[[], Result]],
                     jobs: int) -> List[Result]:
    """Call all, some at a time; what fails does not keep others from running.

    Args:
        calls (Sequence[Callable]): Without arguments.
        jobs (int): How many run at a time.

    Returns:
        list: What each returned, in their order.

    Raises:
        RuntimeError: More than one failed; when all have ended, with what
            each said. The error of a single one is raised as it is.
    """
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            wait(futures)
        except BaseException:  # an interrupt
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failed = [future.exception() for future in futures if future.exception()]
    if len(failed) > 1:
        raise RuntimeError('; '.join(map(str, failed)))
    return [future.result() for future in futures]


def run_program(command: Sequence[Union[str, int, PathLike]],
                quiet: bool = False) -> int:
    """Run a program that ends when this one does, even if this one is killed.

    Left alone it would go on writing where the same command, given again,
    writes as well. Only Linux can end it.

    Args:
        command (Sequence[str | int | Path]): The program and its arguments.
        quiet (bool): Whether what it prints is not shown, errors aside.
            Defaults to False.

    Returns:
        int: Its exit status.
    """
    parent = os.getpid()

    # Linux looks at the thread, which waits here as long as the program runs.
    def end_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was too late
            os._exit(1)

    return subprocess.run(
        list(map(str, command)),
        stdout=subprocess.DEVNULL if quiet else None,
        preexec_fn=end_with_parent if _LIBC else None).returncode
