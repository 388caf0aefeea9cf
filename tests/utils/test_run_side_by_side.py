"""Programs that tools start."""
import os
import signal
import subprocess
import sys
import time

import pytest

# A line in one piece, as two programs write.
SLEEPS = '''
import os, time
os.write(1, (str(os.getpid()) + chr(10)).encode())
time.sleep(60)
'''
STARTS = f'''
import sys
from dora_mm.utils.run_side_by_side import run_program, run_side_by_side
command = [sys.executable, '-c', {SLEEPS!r}]
run_side_by_side([lambda: run_program(command)] * 2, 2)
'''


def has_ended(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] == 'Z'
    except FileNotFoundError:
        return True


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGKILL])
def test_they_end_with_a_tool_that_is_killed(number):
    """Two trainings went on, and the same command began two more."""
    tool = subprocess.Popen([sys.executable, '-c', STARTS],
                            stdout=subprocess.PIPE)
    started = [int(tool.stdout.readline()) for _ in range(2)]
    os.kill(tool.pid, number)
    tool.wait()
    tool.stdout.close()
    end = time.monotonic() + 30
    while not all(map(has_ended, started)) and time.monotonic() < end:
        time.sleep(0.05)
    left = [pid for pid in started if not has_ended(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
