"""Processes of python that need not import torch and mmpretrain again.

Importing them takes 5 s of CPU time, a tool's work in a test often less. So
one process imports them, and each program starts as a fork of it, with
arguments, environment, folder and output of its own. dora_mm itself is not
imported before, so that a program that forgets to import a part of it fails
as it would alone.

What shell scripts and torchrun start as their interpreter can be such forks as
well: :func:`warm_interpreter`.
"""
import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


class WarmProcess:
    """A python program in a process of its own: a part of ``Popen``.

    Args:
        command (Sequence): What follows ``python`` on a command line: a
            script, ``-m`` and a module or ``-c`` and code, and arguments.
        cwd (Path, optional): Folder to run in.
        path (Sequence[Path]): Folders to look for modules in first, before
            that of the dora_mm that is tested.
        merge (bool): Whether stderr goes where stdout goes.
    """

    def __init__(self, command, cwd=None, path=(), merge=False):
        path = [*map(str, path), _tested_folder()]
        self._start(_server(os.getpid()), command, cwd, path, merge)

    def _start(self, pipe, command, cwd, path, merge):
        self._folder = tempfile.TemporaryDirectory()
        self.returncode = None
        request = dict(
            argv=[*map(str, command)],
            cwd=str(cwd or os.getcwd()),
            env=dict(os.environ, OMP_NUM_THREADS='1'),
            path=path,
            merge=merge,
            folder=self._folder.name)
        Path(self._folder.name, 'request').write_text(json.dumps(request))
        with open(pipe, 'w') as requests:  # a short line is written as one
            requests.write(f'{self._folder.name}\n')
        # A loaded machine takes a minute for what the server imports.
        self.pid = int(self._wait_for('pid', 300))

    def _wait_for(self, name, timeout):
        path = Path(self._folder.name, name)
        end = time.monotonic() + timeout
        while not path.exists():
            if time.monotonic() > end:
                raise TimeoutError(f'no {name} of the process yet')
            time.sleep(0.01)
        return path.read_text()

    def poll(self):
        """Status of the program, None while it runs."""
        path = Path(self._folder.name, 'status')
        if self.returncode is None and path.exists():
            self.returncode = int(path.read_text())
        return self.returncode

    def communicate(self, timeout=300):
        """Wait for the end: stdout and stderr."""
        self.returncode = int(self._wait_for('status', timeout))
        return tuple(
            Path(self._folder.name, name).read_text(errors='replace')
            for name in ('stdout', 'stderr'))


def run_warm(*command, **kwargs):
    """Run a script to its end, as :func:`subprocess.run` does."""
    process = WarmProcess(command, **kwargs)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, output,
                                       errors)


def leave_out():
    """Leave out what takes long and what no test can see.

    The layout of configs, which yapf makes anew for every checkpoint, in up to
    8 s; git, which mmengine starts for each; and waiting for the disk, which
    is for a machine that loses power.
    """
    import yapf.yapflib.yapf_api as yapf
    from mmengine.runner import runner
    yapf.FormatCode = lambda text, **_: (text, True)
    runner.get_git_hash = lambda: 'not asked'
    os.fsync = lambda handle: None


def warm_interpreter(folder):
    """A program that takes the command line of python, and runs it warm.

    Args:
        folder (Path): Where to write it.

    Returns:
        str: Its path.
    """
    path = Path(folder, 'warm')
    path.write_text(
        f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} '
        f'{_server(os.getpid())} "$@"\n')
    path.chmod(0o755)
    return str(path)


class _Client(WarmProcess):
    """In an interpreter that has imported nothing."""

    def __init__(self, pipe, command):
        path = filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
        self._start(pipe, command, None, [*path], False)


def _tested_folder():
    """Where the tests find dora_mm; the server must not import it."""
    package, = find_spec('dora_mm').submodule_search_locations
    return os.path.dirname(package)


@lru_cache
def _server(owner):
    """The pipe to the process that forks, one for each one of the tests."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    pipe = os.path.join(folder, 'requests')
    os.mkfifo(pipe)
    server = subprocess.Popen([sys.executable, __file__, pipe],
                              stdin=subprocess.PIPE,
                              env=dict(os.environ, OMP_NUM_THREADS='1'))
    atexit.register(server.stdin.close)  # which ends it
    return pipe


def _serve(pipe):
    import matplotlib.pyplot  # noqa: F401
    import mmcv  # noqa: F401
    import mmpretrain.apis  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401
    import torchvision  # noqa: F401
    from mmengine.utils.dl_utils import collect_env

    leave_out()
    collect_env()  # asks compilers, for 1.5 s, and keeps what they say
    gc.collect()
    gc.freeze()  # a collection in a fork need not look at, and copy, all this
    # Programs must not find the tests' modules by chance.
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != own]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers end by themselves
    requests = os.open(pipe, os.O_RDWR)  # to write as well: so it never ends
    while True:
        ready, _, _ = select.select([requests, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        for folder in os.read(requests, 1 << 16).decode().splitlines():
            if os.fork() == 0:
                _watch(json.loads(Path(folder, 'request').read_text()))


def _watch(request):
    """Fork the program and write down its number and its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os._exit(_program(request))
    folder = Path(request['folder'])
    _write(folder / 'pid', pid)
    _write(folder / 'status', os.waitstatus_to_exitcode(
        os.waitpid(pid, 0)[1]))
    os._exit(0)


def _write(path, number):
    path.with_suffix('.part').write_text(str(number))
    path.with_suffix('.part').rename(path)


def _program(request):
    """What a new interpreter would do with the script; the status."""
    os.setsid()
    for number, name in ((0, os.devnull), (1, 'stdout'), (2, 'stderr')):
        path = os.path.join(request['folder'], name)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(path, flags), number)
    if request['merge']:
        os.dup2(1, 2)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    sys.path[:0] = request['path']
    status = 1
    try:
        _run(request['argv'])
        status = 0
    except SystemExit as error:
        status = error.code
        if not isinstance(status, int):
            status = 0 if status is None else print(
                error.code, file=sys.stderr) or 1
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _run(argv):
    if argv[0] == '-u':
        argv = argv[1:]
    if argv[0] == '-c':
        sys.path.insert(0, os.getcwd())
        sys.argv = ['-c', *argv[2:]]
        exec(argv[1], dict(__name__='__main__'))
    elif argv[0] == '-m':
        sys.path.insert(0, os.getcwd())
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name='__main__', alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name='__main__')


def _be_client(pipe, command):
    process = _Client(pipe, command)
    output, errors = process.communicate(3600)
    sys.stdout.write(output)
    sys.stderr.write(errors)
    return process.returncode if process.returncode >= 0 else 1


if __name__ == '__main__':
    if len(sys.argv) == 2:
        _serve(sys.argv[1])
    else:
        sys.exit(_be_client(sys.argv[1], sys.argv[2:]))
