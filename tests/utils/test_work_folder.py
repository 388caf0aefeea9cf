"""One run a folder; what killed runs left is told and removed."""
import json
import logging
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
import torch

from dora_mm.checkpoints.plain_checkpoints import load_plain
from dora_mm.engine.atomic_backend import AtomicLocalBackend
from dora_mm.utils import work_folder
from dora_mm.utils.newest_checkpoint import newest_checkpoint
from dora_mm.utils.work_folder import hold_work_folder


@pytest.fixture(autouse=True)
def no_torchrun(monkeypatch):
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)


HOLDER = ('import sys, time\n'
          'from dora_mm.utils.work_folder import hold_work_folder\n'
          'with hold_work_folder(sys.argv[1]):\n'
          '    print("held", flush=True)\n'
          '    time.sleep(60)')


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path, capsys):
    first = subprocess.Popen([sys.executable, '-c', HOLDER,
                              str(tmp_path)],
                             stdout=subprocess.PIPE)
    assert first.stdout.readline() == b'held\n'
    (tmp_path / '.iter_6.0123abcd.pth').write_bytes(b'half')
    (tmp_path / '.mine.pth').write_bytes(b'not ours')
    with pytest.raises(ValueError, match=f'process {first.pid} on'):
        with hold_work_folder(tmp_path):
            pass
    first.kill()
    first.wait()
    with hold_work_folder(tmp_path):
        assert f'process {first.pid}' in capsys.readouterr().out
        assert [p.name for p in tmp_path.glob('.*pth')] == ['.mine.pth']
    assert not (tmp_path / '.run.json').exists()


def test_of_runs_that_start_at_once_one_runs(tmp_path, monkeypatch):
    """Each looked before another wrote; both ran, and mixed their logs."""
    read = work_folder._read

    def read_slowly(path):
        owner = read(path)
        time.sleep(0.05)
        return owner

    monkeypatch.setattr(work_folder, '_read', read_slowly)
    context = multiprocessing.get_context('fork')
    start, end = context.Barrier(4), context.Event()
    held, refused = context.Semaphore(0), context.Semaphore(0)

    def run():
        start.wait()
        try:
            with hold_work_folder(tmp_path):
                held.release()
                end.wait(60)
        except ValueError:
            refused.release()

    processes = [context.Process(target=run) for _ in range(4)]
    for process in processes:
        process.start()
    try:
        for _ in range(3):
            assert refused.acquire(timeout=60)
        assert held.acquire(timeout=60) and not held.acquire(block=False)
    finally:
        end.set()
        for process in processes:
            process.join()


@pytest.mark.parametrize('launcher, name', [
    ('pytorch', 'RANK'),
    ('slurm', 'SLURM_PROCID'),
    ('mpi', 'OMPI_COMM_WORLD_RANK'),
])
def test_ranks_of_one_run_take_one_lock(tmp_path, monkeypatch, launcher, name):
    """Those of mpirun were refused, as runs of their own."""
    for rank, locked in ((1, False), (0, True)):
        monkeypatch.setenv(name, str(rank))
        with hold_work_folder(tmp_path / launcher, launcher):
            assert (tmp_path / launcher / '.run.json').exists() == locked


@pytest.mark.parametrize('name', ['RANK', 'SLURM_PROCID'])
def test_runs_that_srun_started_are_runs(tmp_path, monkeypatch, name):
    """The second one took no lock, and both wrote."""
    monkeypatch.setenv(name, '1')
    with hold_work_folder(tmp_path):
        with pytest.raises(ValueError, match='must not be in use'):
            with hold_work_folder(tmp_path):
                pass


RANK = ('import os, sys, time\n'
        'from dora_mm.utils.work_folder import hold_work_folder\n'
        'with hold_work_folder(sys.argv[1], "pytorch"):\n'
        '    path = f"{sys.argv[1]}/rank{os.environ[\'RANK\']}"\n'
        '    open(path + ".tmp", "w").write(str(os.getpid()))\n'
        '    os.rename(path + ".tmp", path)\n'
        '    time.sleep(300)')


def test_ranks_end_with_torchrun(tmp_path):
    """Killed, it cannot end them; they trained on for ever."""
    script = tmp_path / 'rank.py'
    script.write_text(RANK)
    torchrun = subprocess.Popen([
        sys.executable, '-m', 'torch.distributed.run', '--standalone',
        '--nproc_per_node', '2', script, tmp_path
    ])
    paths = [tmp_path / 'rank0', tmp_path / 'rank1']
    wait_until(lambda: all(path.exists() for path in paths), 200)
    pids = [int(path.read_text()) for path in paths]
    assert all(map(is_running, pids))
    torchrun.kill()
    torchrun.wait()
    wait_until(lambda: not any(map(is_running, pids)), 60)
    with hold_work_folder(tmp_path):
        pass


def is_running(pid):
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
        return stat.rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(is_so, seconds):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize(('age', 'is_free'), [(10, False), (300, True)])
def test_a_lock_of_another_host_counts_while_it_beats(tmp_path, age, is_free):
    """Its process number, here that of a living process, proves nothing."""
    (tmp_path / '.run.json').write_text(
        json.dumps(
            dict(
                host='elsewhere',
                pid=os.getpid(),
                since='today',
                beat=time.time() - age)))
    if is_free:
        with hold_work_folder(tmp_path):
            assert socket.gethostname() in (tmp_path /
                                            '.run.json').read_text()
    else:
        with pytest.raises(ValueError, match='on elsewhere'):
            with hold_work_folder(tmp_path):
                pass


def test_a_run_in_another_container_is_not_seen(tmp_path, monkeypatch):
    """With the host's name, its process seemed to have ended."""
    with hold_work_folder(tmp_path):
        monkeypatch.setattr(os, 'readlink', lambda path: 'pid:[7]')
        monkeypatch.setattr(work_folder, '_birth', lambda pid: None)
        with pytest.raises(ValueError, match='must not be in use'):
            with hold_work_folder(tmp_path):
                pass


def test_a_full_disk_is_told_with_what_is_kept(tmp_path):
    """A write says no name, and a line of a log was lost with a traceback."""
    (tmp_path / 'last_checkpoint').write_text('iter_3.pth')
    kept = f'{tmp_path}/iter_3.pth is whole; make room'
    with pytest.raises(OSError, match=f'/dev/full, but got "No.*{kept}'):
        with hold_work_folder(tmp_path):
            log = logging.FileHandler('/dev/full')
            log.emit(logging.makeLogRecord(dict(msg='a')))
    path, limit = tmp_path / 'iter_6.pth', resource.RLIMIT_FSIZE
    before = resource.getrlimit(limit)
    with pytest.raises(OSError, match=f'{path}, but got "File too.*{kept}'):
        with hold_work_folder(tmp_path):
            path.write_bytes(b'old')
            resource.setrlimit(limit, (4096, before[1]))
            try:
                AtomicLocalBackend().put(bytes(9999), path)
            finally:
                resource.setrlimit(limit, before)
    assert path.read_bytes() == b'old'
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'iter_6.pth', 'last_checkpoint']


def test_a_file_is_no_work_folder(tmp_path):
    (tmp_path / 'a').write_text('mine')
    for path in (tmp_path / 'a', tmp_path / 'a/b'):
        with pytest.raises(ValueError, match=f'be a folder, but got {path}'):
            with hold_work_folder(path):
                pass


@pytest.mark.parametrize('text', ['', '{', '[]', '7', '{"pid": 3}'])
def test_a_damaged_lock_holds_nothing(tmp_path, text):
    (tmp_path / '.run.json').write_text(text)
    with hold_work_folder(tmp_path):
        pass


def archive(path, damage=None):
    torch.save(dict(weight=torch.arange(3000.)), path)
    data = bytearray(path.read_bytes())
    if damage == 'flip':
        data[len(data) // 2] ^= 1
    elif damage == 'cut':
        data = data[:len(data) // 2]
    path.write_bytes(data)


@pytest.mark.parametrize(
    'named',
    ['', 'iter_9.pth', 'iter_12.pth', '/far/off/iter_9.pth', 'a' * 5000])
@pytest.mark.parametrize('damage', ['flip', 'cut'])
def test_newest_whole_checkpoint(tmp_path, named, damage):
    """``last_checkpoint`` may be empty, wrong or of a folder that moved."""
    assert newest_checkpoint(tmp_path) is None
    for number in (3, 6, 9):
        archive(tmp_path / f'iter_{number}.pth')
    archive(tmp_path / 'iter_10.pth', damage)
    for number, target in ((11, 'nowhere'), (13, 'iter_13.pth')):
        (tmp_path / f'iter_{number}.pth').symlink_to(target)
    (tmp_path / 'last_checkpoint').write_text(named)
    assert newest_checkpoint(tmp_path).name == 'iter_9.pth'
    (tmp_path / 'last_checkpoint').write_text('/far/off/iter_6.pth')
    assert newest_checkpoint(tmp_path).name == 'iter_6.pth'
    for path in tmp_path.glob('*.pth'):
        if path.is_file():
            path.write_bytes(b'no archive')
    with pytest.raises(ValueError, match='must be whole, but got 4 damaged'):
        newest_checkpoint(tmp_path)


def test_checksums_are_read_once_and_again_after_a_change(
        tmp_path, monkeypatch):
    path, reads = tmp_path / 'iter_3.pth', []
    archive(path)
    checksum = zlib.crc32
    monkeypatch.setattr(zlib, 'crc32',
                        lambda data: reads.append(len(data)) or checksum(data))
    assert newest_checkpoint(tmp_path) == path
    assert torch.equal(load_plain(path)['weight'], torch.arange(3000.))
    assert reads.count(12000) == 1
    archive(path, 'flip')
    os.utime(path, ns=(0, 0))
    with pytest.raises(ValueError, match='damaged'):
        load_plain(path)
