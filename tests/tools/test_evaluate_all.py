import json
import runpy
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from clean_python import ROOT
from matplotlib.figure import Figure
from PIL import Image
from warm_python import run_warm, warm_interpreter

from dora_mm.evaluation.results_table import (EVALUATIONS, plot_table,
                                              text_table)
from dora_mm.utils.hold_folder import hold_folder
from dora_mm.utils.shipped_configs import list_configs

ROWS = [
    dict(
        title='A',
        values=[[1.26], [18., 20., 25.]],
        dora=58.4,
        dino=None,
        note='so'),
    dict(title='Longer', values=[[30.], [4.]], dora=None, dino=None, note=''),
]


def test_table():
    lines = text_table(ROWS, ['first', 'b']).splitlines()
    assert lines[0].split() == ['first', 'b', 'DoRA*', 'DINO*']
    assert lines[1].split() == [
        'A', '1.3', '21.0', '±', '3.6', '58.4', '-', 'so'
    ]
    assert lines[2].split() == ['Longer', '30.0', '4.0', '-', '-']
    # columns stand under each other
    assert lines[1].index('1.3') + 3 == lines[2].index('30.0') + 4


def test_plot(tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda figure, *args, **kwargs:
        (figures.append(figure), save(figure, *args, **kwargs)))
    plot_table(ROWS, ['first', 'b'], tmp_path / 'a.png')
    plot_table(ROWS, ['first', 'b'], tmp_path / 'b.png')
    images = [cv2.imread(str(tmp_path / name)) for name in ('a.png', 'b.png')]
    assert np.array_equal(*images) and np.ptp(images[0]) == 255
    texts = {text.get_text() for text in figures[0].axes[0].texts}
    assert texts == {'1.3', '21.0 ± 3.6', '30.0', '4.0'}


def test_every_config_is_in_the_table():
    shipped = {
        name
        for name in list_configs()
        if name.startswith('evaluation/') and '_base_' not in name
    }
    assert {f'evaluation/{item.config}.py' for item in EVALUATIONS} == shipped


@pytest.fixture
def data(tmp_path):
    """A video in DAVIS's layout, without the lists of 2017."""
    for kind in ('JPEGImages', 'Annotations'):
        (tmp_path / 'data/davis' / kind / '480p/v').mkdir(parents=True)
    folder = tmp_path / 'data/davis'
    for t in range(4):
        image = np.full((64, 128, 3), 40, np.uint8)
        mask = np.zeros((64, 128), np.uint8)
        image[16:48, 30 + t:80 + t, 1], mask[16:48, 30 + t:80 + t] = 220, 255
        Image.fromarray(image).save(
            folder / f'JPEGImages/480p/v/{t:05}.jpg', quality=95)
        Image.fromarray(mask).save(folder / f'Annotations/480p/v/{t:05}.png')
    return tmp_path / 'data'


# What the tool starts is warm as well.
WARM = """
import runpy, sys
sys.executable, tool, *sys.argv[1:] = sys.argv[1:]
runpy.run_path(tool, run_name='__main__')
"""


def test_command(data, tmp_path):
    done = run_warm('-c', WARM, warm_interpreter(tmp_path),
                    ROOT / 'tools/evaluate_all.py', 'colour', '--data', data,
                    '--out-dir', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'out/results.json').read_text())
    assert found['names'] == ['colour']
    row, = found['rows']
    assert row['title'] == 'DAVIS-2016 J&F' and 70 < row['values'][0][0] < 100
    table = (tmp_path / 'out/results.txt').read_text()
    assert f'{row["values"][0][0]:.1f}' in table and table in done.stdout
    assert (tmp_path / 'out/results.png').is_file()


@pytest.fixture
def calls(monkeypatch):
    """Commands that ran tools/test.py; run n gives n per cent."""
    commands = []

    def test_py(command, stdout, **_):
        folder = Path(command[command.index('--work-dir') + 1])
        commands.append(tuple(map(str, command)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'results.json').write_text(
            json.dumps(dict(metrics={'davis/J&F-Mean': float(len(commands))})))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, 'run', test_py)
    return commands


@pytest.fixture
def evaluate_all(data, tmp_path):
    """The tool in this process; gives names and values of the one row."""
    tool = runpy.run_path(str(ROOT / 'tools/evaluate_all.py'))
    out = ['--data', str(data), '--out-dir', str(tmp_path / 'out')]

    def evaluate(*args):
        tool['evaluate'](tool['parse_args']([*map(str, args), *out]))
        found = json.loads((tmp_path / 'out/results.json').read_text())
        row, = found['rows']
        return found['names'], row['values']

    return evaluate


def test_finished_results_are_kept(evaluate_all, calls, tmp_path, capsys):
    """Of the same weights, config and data; of others they are made anew."""
    weights = tmp_path / 'a.pth'
    weights.write_bytes(b'one')
    options = dict(
        key=('--key', 'student'),
        heads=('--num-heads', '8', '--img-size', '16', '64'),
        setting=('--cfg-options', 'test_dataloader.batch_size=2',
                 'test_dataloader.dataset.short_side=48'))
    for change, runs in ((None, 1), (None, 1), ('weights', 2), ('key', 3),
                         ('heads', 4), ('setting', 5)):
        if change == 'weights':
            weights.write_bytes(b'other')
        more = options.get(change, ())
        assert evaluate_all(weights, *more) == (['a'], [[runs]])
        assert len(calls) == runs
        assert ' '.join(more) in ' '.join(calls[-1])
    assert capsys.readouterr().out.count('kept from') == 1
    assert calls[-1][-3:] == options['setting']


def test_seeds_are_one_column(evaluate_all, calls, tmp_path, capsys):
    """And files that are named alike are two, each with its own results."""
    files = [tmp_path / run / 'iter_9.pth' for run in 'abc']
    for file in files:
        file.parent.mkdir()
        file.write_bytes(b'weights')
    for kept in (0, 3):
        found = evaluate_all(*files, '--names', 'dora', 'dino', 'dora')
        assert found == (['dora', 'dino'], [[1, 3], [2]])
        text = capsys.readouterr().out
        assert text.count('kept from') == kept and '2.0 ± 1.4' in text
    assert len(set(calls)) == len(calls) == 3
    assert evaluate_all(*files[:2])[0] == ['a_iter_9', 'b_iter_9']
    with pytest.raises(ValueError, match='names must be given'):
        evaluate_all(files[0], files[0])


def test_jobs_side_by_side(evaluate_all, calls, tmp_path, monkeypatch):
    """The last that began is the first to end, and numbers keep places."""
    files = [tmp_path / f'{name}.pth' for name in 'abc']
    for file in files:
        file.write_bytes(b'weights')
    done = {file.stem: threading.Event() for file in files}
    done['d'] = threading.Event()
    done['d'].set()
    run = subprocess.run

    def last_first(command, stdout, **_):
        name = Path(command[3]).stem
        assert done[chr(ord(name) + 1)].wait(timeout=300)
        found = run(command, stdout=stdout)
        done[name].set()
        return found

    monkeypatch.setattr(subprocess, 'run', last_first)
    assert evaluate_all(*files, '--jobs', '3') == (['a', 'b', 'c'],
                                                   [[3], [2], [1]])


def test_a_checkpoint_that_is_not_there(evaluate_all, calls, tmp_path):
    """Was found when those before it had been evaluated."""
    with pytest.raises(ValueError, match='but .*gone.pth is not a file'):
        evaluate_all('colour', tmp_path / 'gone.pth')
    assert not calls


@pytest.mark.parametrize('jobs', '12')
def test_those_that_fail_are_named(evaluate_all, calls, tmp_path, monkeypatch,
                                   jobs):
    """And those behind them are measured and kept."""
    files = [tmp_path / f'{name}.pth' for name in 'abc']
    for file in files:
        file.write_bytes(b'weights')
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, 'run', lambda command, **kwargs: run(command, **kwargs)
        if command[3] == str(files[1]) else SimpleNamespace(returncode=1))
    with pytest.raises(
            RuntimeError, match=r'of .*a\.pth failed.*; .*c\.pth failed'):
        evaluate_all(*files, '--jobs', jobs)
    monkeypatch.setattr(subprocess, 'run', run)
    assert evaluate_all(*files) == (['a', 'b', 'c'], [[2], [1], [3]])


def test_the_next_data_set_is_measured_behind_one_that_fails(
        evaluate_all, calls, data, tmp_path, monkeypatch, capsys):
    """A night's work ended with its first mistake."""
    (data / 'davis/ImageSets/2017').mkdir(parents=True)
    (data / 'davis/ImageSets/2017/val.txt').write_text('v')
    assert sum('davis' in item.config for item in EVALUATIONS) == 2
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, 'run', lambda command, **kwargs: SimpleNamespace(
            returncode=1) if 'davis2017' in str(command[2]) else run(
                command, **kwargs))
    with pytest.raises(
            RuntimeError,
            match=r'^DAVIS-2017 J&F of colour failed.*what is missing$'):
        evaluate_all('colour')
    found = json.loads((tmp_path / 'out/results.json').read_text())
    row, = found['rows']
    assert row['title'] == 'DAVIS-2016 J&F' and row['values'] == [[1]]
    assert 'DAVIS-2016 J&F' in capsys.readouterr().out


def test_results_of_changed_data_are_not_kept(evaluate_all, calls, data):
    """It was, and arms of two sets of videos were compared."""
    assert evaluate_all('colour') == (['colour'], [[1]])
    assert evaluate_all('colour') == (['colour'], [[1]])
    (data / 'davis/JPEGImages/480p/w').mkdir()
    assert evaluate_all('colour') == (['colour'], [[2]])


def test_a_damaged_result_is_measured_again(evaluate_all, calls, tmp_path):
    evaluate_all('colour')
    path, = (tmp_path / 'out/colour').glob('*/results.json')
    path.write_text('{"metrics":')
    assert evaluate_all('colour') == (['colour'], [[2]])


def test_a_number_without_an_owner_is_measured_again(evaluate_all, calls,
                                                     tmp_path, monkeypatch):
    """Killed between the number and its owner: the old owner got it."""
    files = [tmp_path / f'{name}.pth' for name in 'ab']
    for file in files:
        file.write_bytes(b'weights')
    run = subprocess.run
    assert evaluate_all(files[0], '--names', 'x') == (['x'], [[1]])

    def end_behind(*args, **kwargs):
        run(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, 'run', end_behind)
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(files[1], '--names', 'x')
    monkeypatch.setattr(subprocess, 'run', run)
    assert evaluate_all(files[0], '--names', 'x') == (['x'], [[3]])


def test_one_at_a_time(evaluate_all, calls, tmp_path):
    """What one measured was kept as that of the checkpoint of another."""
    with hold_folder('--out-dir', tmp_path / 'out'):
        with pytest.raises(ValueError, match='--out-dir must not be in use'):
            evaluate_all('colour')
    assert not calls


def test_options_of_one_evaluation(evaluate_all, calls, data, tmp_path):
    """Settings that only it has; nothing is evaluated before all fit."""
    (data / 'cifar10_mini.tar').write_bytes(b'images')
    side = 'davis2016:test_dataloader.dataset.short_side=48'
    evaluate_all('colour', '--cfg-options', side)
    cifar, davis = calls
    assert 'short_side' not in ' '.join(cifar)
    assert davis[-1] == 'test_dataloader.dataset.short_side=48'
    del calls[:]
    for options, message in (
        (('--cfg-options', side.partition(':')[2]), 'knn_cifar10-mini'),
        (('--cfg-options', side, '--only', 'knn_cifar10-mini'),
         'evaluations that are run, but got davis2016'),
        (('--cfg-options', 'davis2016:test_dataloader.dataset.shrt_side=4'),
         'of davis2016: .*did you mean .*short_side'),
        (('--cfg-options', f'davis20l6{side[9:]}'),
         'got davis20l6:test.*: the nearest ones are davis2016, davis2017'),
        (('--cfg-options', f'evaluation/{side}'), 'nearest ones are davis201'),
        (('--cfg-options', 'foo'), 'must be KEY=VALUE, but got foo'),
        (('--only', 'davis2016', 'davis20'), 'but got davis20'),
        (('--only', 'davis2016', 'vip'), 'but got vip without .*VIP_Fine'),
    ):  # yapf: disable
        with pytest.raises(ValueError, match=message):
            evaluate_all('colour', *options)
    with pytest.raises(ValueError, match='--names must .*got b.2 twice'):
        evaluate_all('colour', 'colour', 'colour', '--names', 'b', 'b', 'b.2')
    with pytest.raises(ValueError, match='--names must be a name'):
        evaluate_all('colour', '--names', '../other')
    assert not calls


def test_numbers_that_options_leave_out(evaluate_all, calls, data, capsys):
    """They ended it with a KeyError, and the next data set with them."""
    (data / 'cifar10_mini.tar').write_bytes(b'images')
    options = ('--cfg-options', "knn_cifar10-mini:test_cfg.variants=('cls',)")
    # the stand-in for tools/test.py has no number of CIFAR at all
    assert evaluate_all('colour', *options) == (['colour'], [[2]])
    assert len(calls) == 2
    assert 'CIFAR-10 mini kNN, whitened: left out, as its results have no ' \
        'knn/cls_white_k20_top1 ' in capsys.readouterr().out
    with pytest.raises(ValueError, match='leave a number .*but got knn_cif'):
        evaluate_all('colour', *options, '--only', 'knn_cifar10-mini')


def test_an_evaluation_that_fails_runs_once(evaluate_all, data, monkeypatch):
    """It ran once for each of its numbers."""
    (data / 'cifar10_mini.tar').write_bytes(b'images')
    ran = []
    monkeypatch.setattr(
        subprocess, 'run',
        lambda command, **_: ran.append(1) or SimpleNamespace(returncode=1))
    with pytest.raises(RuntimeError) as failed:
        evaluate_all('colour', '--only', 'knn_cifar10-mini')
    assert len(ran) == 1 and str(failed.value).count('failed') == 1


def test_mistakes_are_named(tmp_path, run_tool):
    done = run_tool('evaluate_all.py', 'colour', '--data', tmp_path)
    assert done.returncode == 1 and 'without a known one' in done.stderr
    done = run_tool('evaluate_all.py', 'colour', '--data', tmp_path, '--names',
                    'a', 'b')
    assert done.returncode == 2 and '2 names for 1 checkpoints' in done.stderr
