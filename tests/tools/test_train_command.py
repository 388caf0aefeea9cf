"""The commands of the README, as processes: interrupted, and distributed."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clean_python import ROOT
from video_factory import write_video
from warm_python import WarmProcess, warm_interpreter

import dora_mm

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(
    imports=['dora_mm.engine', 'loss_recorder'], allow_failed_imports=False)
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=48, num_layers=2, num_heads=4,
                  feedforward_channels=96),
        img_size=32, patch_size=8, drop_path_rate={drop_path}),
    neck=dict(in_channels=48, hidden_channels=32, bottleneck_channels=16),
    head=dict(num_objects=2, num_iters=100),
    data_preprocessor=dict(
        global_views=dict(size=32), local_views=dict(size=16)))
train_dataloader = dict(
    batch_size={batch}, num_workers=2,
    dataset=dict(video={video!r}, clip_len=2, frame_interval=0.1,
                 start_stride=1))
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(checkpoint=dict(interval=3), logger=dict(interval=1))
custom_hooks = [
    *_base_.custom_hooks, dict(type='dora_mm.LossRecorder', path={log!r})]
"""


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp('video') / 'v.mp4', 81)


@pytest.fixture
def write_config(video, tmp_path):

    def write(name, batch, drop_path=0., video=video, epochs=2):
        path = tmp_path / f'{name}.py'
        path.write_text(
            CONFIG.format(
                base=dora_mm.config_path('dora/vit-t16_demo.py'),
                video=video,
                batch=batch,
                drop_path=drop_path,
                epochs=epochs,
                log=str(tmp_path / f'{name}.jsonl')))
        return path

    return write


@pytest.fixture(scope='module')
def warm(tmp_path_factory):
    """What torchrun and its ranks run as."""
    return warm_interpreter(tmp_path_factory.mktemp('warm'))


def start(*command, python=None):
    """Start a command; it sees the tests' modules and the tested dora_mm."""
    if command[0] == sys.executable:
        return WarmProcess(command[1:], path=[ROOT / 'tests'], merge=True)
    folders = (ROOT / 'tests', Path(dora_mm.__file__).parents[1])
    env = dict(
        os.environ,
        PYTHON=python,
        PYTHON_EXEC=python,
        OMP_NUM_THREADS='1',
        PYTHONPATH=os.pathsep.join(map(str, folders)))
    return subprocess.Popen([*map(str, command)],
                            env=env,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            text=True,
                            start_new_session=True)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-5000:]
    return output


def losses(log):
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines()]


def wait_for_iterations(process, log, number):
    while len(losses(log)) < number:
        assert process.poll() is None, process.communicate()[0][-5000:]
        time.sleep(0.01)


def test_interrupted_and_resumed_run_equals_an_uninterrupted_one(
        write_config, video, tmp_path):
    """kill -9 in the first epoch, SIGTERM in the second, each resumed.

    The whole run loses its file, which is open, and reads on.
    """
    train = (sys.executable, ROOT / 'tools/train.py')
    gone = str(shutil.copy(video, tmp_path / 'gone.mp4'))
    config = write_config('whole', batch=8, drop_path=0.2, video=gone)
    whole = start(*train, config, '--work-dir', tmp_path / 'whole')
    wait_for_iterations(whole, tmp_path / 'whole.jsonl', 3)
    os.remove(gone)
    config = write_config('parts', batch=8, drop_path=0.2)
    command = (*train, config, '--work-dir', tmp_path / 'parts', '--resume')
    log = tmp_path / 'parts.jsonl'
    for number, how in ((5, signal.SIGKILL), (14, signal.SIGTERM)):
        process = start(*command)
        wait_for_iterations(process, log, number)
        os.kill(process.pid, how)
        process.communicate(timeout=300)
        assert process.returncode == -how
    finish(start(*command))
    check_first_words(finish(whole), *(tmp_path / 'whole').glob('*/*.log'))
    expected = dict(losses(tmp_path / 'whole.jsonl'))
    assert sorted(expected) == list(range(20))  # 80 clips, 8 a batch, twice
    parts = losses(log)
    # Iterations after the last checkpoint were done twice, no others.
    assert 20 < len(parts) <= 20 + 2 * 4
    assert {i for i, _ in parts} == set(expected)
    for iteration, loss in parts:
        assert loss == pytest.approx(expected[iteration], rel=1e-6)


def test_two_processes_equal_one_with_the_joined_batch(write_config, warm,
                                                       tmp_path):
    video = write_video(tmp_path / 'short.mp4', 33)

    def write(name, batch):
        return write_config(name, batch, video=video)

    config = write('two', batch=4)
    screen = finish(
        start(
            'bash',
            ROOT / 'tools/dist_train.sh',
            config,
            2,
            '--work-dir',
            tmp_path / 'two',
            python=warm))
    assert 'environment variable' not in screen
    config = write('one', batch=8)
    finish(
        start(sys.executable, ROOT / 'tools/train.py', config, '--work-dir',
              tmp_path / 'one'))
    one, two = (
        dict(losses(tmp_path / f'{name}.jsonl')) for name in ('one', 'two'))
    assert sorted(one) == sorted(two) == list(range(8))  # 32 clips, twice
    for iteration, loss in one.items():
        assert two[iteration] == pytest.approx(loss, rel=1e-5)
    # Inside the second epoch the number of processes changes.
    ways = (('two_to_one', 'two', 8,
             (sys.executable, ROOT / 'tools/train.py')),
            ('one_to_two', 'one', 4, ('bash', ROOT / 'tools/dist_train.sh')))
    for name, saved, batch, command in ways:
        config = write(name, batch=batch)
        number = (2, ) if saved == 'one' else ()
        finish(
            start(
                *command,
                config,
                *number,
                '--work-dir',
                tmp_path / name,
                '--resume',
                tmp_path / saved / 'iter_6.pth',
                python=warm))
        after = dict(losses(tmp_path / f'{name}.jsonl'))
        assert sorted(after) == [6, 7]
        for iteration, loss in after.items():
            assert loss == pytest.approx(one[iteration], rel=1e-5)


def children(process):
    """Process ids of the data workers."""
    path = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    return [int(pid) for pid in path.read_text().split()]


@pytest.mark.skipif(
    not Path(f'/proc/{os.getpid()}/task/{os.getpid()}/children').exists(),
    reason='this kernel does not list the children of a process')
def test_killed_worker_ends_the_run_with_the_reason(write_config, tmp_path):
    config = write_config('killed', batch=4, epochs=1000)
    process = start(sys.executable, ROOT / 'tools/train.py', config,
                    '--work-dir', tmp_path / 'killed')
    wait_for_iterations(process, tmp_path / 'killed.jsonl', 3)
    os.kill(children(process)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    # PyTorch says one or the other, whichever it notices first.
    assert re.search(
        r'worker .*(is killed by signal: Killed|exited unexpectedly)', output)


@pytest.mark.parametrize('codec', ['libx264', 'mjpeg'])
def test_truncated_file_ends_the_run_with_the_reason(write_config, tmp_path,
                                                     codec):
    pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    video = write_video(
        tmp_path / f'{codec}.mp4', 200, codec=codec, pix_fmt=pix_fmt)
    config = write_config('cut', batch=4, video=video, epochs=1000)
    process = start(sys.executable, ROOT / 'tools/train.py', config,
                    '--work-dir', tmp_path / 'cut')
    wait_for_iterations(process, tmp_path / 'cut.jsonl', 3)
    os.truncate(video, 1000)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert f'cannot read {video!r}' in output
    assert re.search('error: .*(in a row|max_share)', output)


def check_first_words(screen, log):
    """All that a run says before its first loss is of use."""
    lines = [line.split(' - ', 3)[-1] for line in screen.splitlines()]
    first = next(i for i, line in enumerate(lines) if 'loss: ' in line)
    expected = (f'log, config and environment: {log}',
                r'1 video, 80 clips, \d+ s to open',
                r'\d+ parameters with weight decay, .*',
                f'Checkpoints will be saved to {log.parents[1]}.',
                r'Epoch\(train\) \[1\]\[ 1/10\] .*')
    assert first == len(expected) - 1, screen
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(pattern, line), line
    assert 'Exp name' not in screen
    text = log.read_text()
    for name in ('System environment', 'train_cfg', 'StepSeedHook',
                 'Distributed training is not used'):
        assert name in text
