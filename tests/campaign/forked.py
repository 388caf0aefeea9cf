"""Programs as forks of a process that has imported what they need.

An import of torch and mmpretrain takes seconds, a fork of it milliseconds. A
fork is a process with a session, a command line and data workers of its own,
and is killed as any other.
"""
import os
import resource
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path

from dora_mm.utils.run_main import run_main

# A program hangs if it prints nothing for so long, or takes so long; seconds.
SILENCE, SECONDS = 300, 3000


class Hung(Exception):
    """A program did not end."""


class Forked:
    """A running tool.

    Args:
        main (Callable): What its file calls by ``run_main``.
        argv (Sequence): Its arguments.
        log (Path): What it prints is added to this file.
        before (Callable): Called first in the process.
        **env (str): Variables of its environment.
    """

    def __init__(self, main, argv, log, before=lambda: None, **env):
        self.log = Path(log)
        argv = ['tool', *map(str, argv)]

        def target():
            os.setsid()
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os.environ.update(env)
            sys.argv = argv
            before()
            run_main(main)

        self.process = get_context('fork').Process(target=target)
        self.process.start()
        self.pid = self.process.pid

    @property
    def is_running(self):
        return self.process.is_alive()

    def children(self):
        """Process ids: data workers, or the ranks of torchrun."""
        path = Path(f'/proc/{self.pid}/task/{self.pid}/children')
        try:
            return [int(pid) for pid in path.read_text().split()]
        except OSError:
            return []

    def kill(self, how=signal.SIGKILL):
        if self.is_running:
            os.kill(self.pid, how)

    def finish(self):
        """Wait for the end; the exit status, negative after a signal."""
        begun = time.monotonic()
        printed, size = begun, 0
        while self.is_running:
            self.process.join(1)
            now = time.monotonic()
            if self.log.exists() and self.log.stat().st_size != size:
                printed, size = now, self.log.stat().st_size
            if now - printed > SILENCE or now - begun > SECONDS:
                os.killpg(self.pid, signal.SIGKILL)
                self.process.join()
                raise Hung(self.output[-1000:])
        return self.process.exitcode

    @property
    def output(self):
        return self.log.read_text(errors='replace')

    @property
    def sentence(self):
        """The last line of the screen, if it is the tool's own error."""
        lines = self.output.strip().splitlines()
        if 'Traceback' in self.output or not lines:
            return None
        return lines[-1] if ': error: ' in lines[-1] or any(
            line.startswith('error: ') for line in lines[-20:]) else None


def die_at_operation(folder, number, how=signal.SIGKILL):
    """A function after which the process dies before a file operation.

    Args:
        folder (Path): Files opened, moved and removed in it are counted.
        number (int): Of the operation, from 1.
        how (signal.Signals): What it dies of.
    """
    left = [number]

    def hook(event, args):
        if event in ('open', 'os.rename', 'os.remove') and str(
                args[0]).startswith(str(folder)):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), how)

    return lambda: sys.addaudithook(hook)


def write_at_most(size, dies):
    """A function after which no file gets larger; a write fails or kills."""

    def limit():
        if dies:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def wait_until(is_so, seconds=SECONDS):
    """Wait; False if it took too long."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True
