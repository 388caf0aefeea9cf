"""One process at a time writes where two would mix."""
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from dora_mm.utils.hold_folder import hold_folder

# A data worker, a fork, lives on for some seconds when its parent is killed.
HOLDER = """
import os, sys, time
from dora_mm.utils.hold_folder import hold_folder
with hold_folder('--out-dir', sys.argv[1]):
    if not os.fork():  # which says so when it is past the fork itself
        print(os.getpid(), flush=True)
    time.sleep(300)
"""


def test_the_second_is_refused_until_the_first_is_killed(tmp_path):
    folder = tmp_path / 'new' / 'out'
    first = subprocess.Popen([sys.executable, '-c', HOLDER, folder],
                             stdout=subprocess.PIPE)
    worker = int(first.stdout.readline())
    try:
        with pytest.raises(ValueError, match=f'must not .* but got {folder},'):
            with hold_folder('--out-dir', folder):
                pass
        first.kill()
        first.wait()
        os.kill(worker, 0)
        with hold_folder('--out-dir', folder):
            pass
    finally:
        os.kill(worker, signal.SIGKILL)
        first.stdout.close()
    assert not os.listdir(folder)


def test_of_many_one_has_it(tmp_path):
    context = multiprocessing.get_context('fork')
    start, end = context.Barrier(8), context.Event()
    held, refused = context.Semaphore(0), context.Semaphore(0)

    def run():
        start.wait()
        try:
            with hold_folder('--out-dir', tmp_path / 'a' / 'b'):
                held.release()
                end.wait(60)
        except ValueError:
            refused.release()

    processes = [context.Process(target=run) for _ in range(8)]
    for process in processes:
        process.start()
    try:
        for _ in range(7):
            assert refused.acquire(timeout=60)
        assert held.acquire(timeout=60)
    finally:
        end.set()
        for process in processes:
            process.join()
    with hold_folder('--out-dir', tmp_path / 'a' / 'b'):
        pass
