"""Run python as a user would: in a process of its own."""
import os
import subprocess
import sys
from pathlib import Path

import dora_mm

ROOT = Path(__file__).resolve().parents[1]


def run(python, *args, cwd=None, path=()):
    """Run python and give what it did.

    Args:
        python (str | Path): Interpreter. The one that runs the tests sees the
            dora_mm that they test, also where it is not installed.
        args: Arguments.
        cwd (Path, optional): Folder to run in.
        path (Sequence[Path]): Folders to look for modules in first.

    Returns:
        subprocess.CompletedProcess: Status and output.
    """
    path = [*path]
    if python == sys.executable:
        path.append(Path(dora_mm.__file__).parents[1])
    env = dict(
        os.environ,
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join(map(str, path)))
    return subprocess.run([str(python), *map(str, args)],
                          cwd=cwd,
                          env=env,
                          capture_output=True,
                          text=True)


def check_run(*args, **kwargs):
    """Run as above, demand success and give stdout."""
    done = run(*args, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
