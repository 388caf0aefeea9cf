"""tools/ablate.py and the arithmetic of its table."""
import json
import re
import runpy
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from clean_python import ROOT

from dora_mm.evaluation.compare_arms import arms_table, compare_arms
from dora_mm.evaluation.read_metrics import read_metrics
from dora_mm.utils.shipped_configs import config_path

NAMES = ('bear', 'car', 'dog')


def test_differences_against_scipy():
    stats = pytest.importorskip('scipy.stats')
    rng = np.random.default_rng(0)
    a, b = rng.normal(50, 5, (3, 7)), rng.normal(48, 5, (4, 7))
    gap = compare_arms(a, b)
    oracle = stats.ttest_rel(a.mean(0), b.mean(0))
    assert gap.mean / gap.error == pytest.approx(oracle.statistic)
    assert gap.mean == pytest.approx(a.mean() - b.mean())
    assert gap.better == sum(a.mean(0) > b.mean(0)) and gap.sequences == 7
    variances = [np.var(v.mean(1), ddof=1) for v in (a, b)]
    assert gap.seed_std**2 == pytest.approx(np.mean(variances))


@pytest.mark.parametrize('shift, verdict', [(1.9, 'none'), (2.1, 'better'),
                                            (-2.1, 'worse')])
def test_less_than_two_deviations_is_none(shift, verdict):
    reference = np.array([[39., 41.], [40., 42.], [41., 43.]])  # std 1
    gap = compare_arms(reference + shift, reference)
    assert gap.seed_std == pytest.approx(1) and gap.verdict == verdict


def test_equal_arms_and_numbers_that_are_none():
    """Both were called worse."""
    same = np.full((3, 1), 10.)
    assert compare_arms(same, same.copy()).verdict == 'none'
    assert compare_arms(same + 1, same).verdict == 'better'
    gap = compare_arms(np.where(np.arange(3) == 1, np.nan, same.T).T, same)
    assert gap.verdict == 'not known: not a number'


def test_one_seed_decides_nothing():
    gap = compare_arms(np.array([[50., 60.]]), np.array([[10., 20.]]))
    assert gap.seed_std is None and 'one seed' in gap.verdict
    assert compare_arms(np.ones((2, 1)), np.zeros((2, 1))).error is None
    with pytest.raises(ValueError, match=r'\(1, 2\) and \(1, 3\)'):
        compare_arms(np.ones((1, 2)), np.ones((1, 3)))


def test_table():
    arms = dict(dino=np.array([[39., 41.], [41., 43.]]),
                dora=np.array([[49., 41.], [51., 43.]]))  # yapf: disable
    lines = arms_table('J&F', arms, ['bear', 'car']).splitlines()
    assert lines[0] == 'J&F, over bear, car'
    assert lines[2].split() == ['dino', '41.00', '1.41', '2']
    assert lines[3].split() == [
        'dora', '46.00', '1.41', '2', '+5.00', '5.00', '1', 'of', '2', 'better'
    ]


OPTION = 'test_dataloader.dataset.short_side=240'


@pytest.fixture(autouse=True)
def data(tmp_path):
    for kind in ('JPEGImages', 'Annotations'):
        (tmp_path / 'davis' / kind / '480p').mkdir(parents=True)


@pytest.fixture
def video(tmp_path):
    """An option of the demo configs, whose video is not there."""
    (tmp_path / 'v.mp4').touch()  # never opened
    return f'train_dataloader.dataset.video={tmp_path / "v.mp4"}'


@pytest.fixture
def programs(monkeypatch):
    """train.py and evaluate_all.py in a few lines; what ran."""
    ran = []

    def run(command, stdout=None, **_):
        name = Path(command[1]).name
        if name == 'train.py':
            folder = Path(command[command.index('--work-dir') + 1])
            ran.append(f'train {folder.parent.name[:-9]}')
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(dict(seed=1), folder / 'iter_2.pth')
            return SimpleNamespace(returncode=0)
        assert name == 'evaluate_all.py'
        begin, end = command.index('--names'), command.index('--data')
        names, models = command[begin + 1:end], command[2:begin]
        options = command[command.index('--cfg-options') + 1:]
        ran.append(f'evaluate {len(names)} {" ".join(options)}')
        out = Path(command[command.index('--out-dir') + 1])
        for model, path in zip(names, models):
            assert path == 'colour' or Path(path).is_file()
            value = 40. + 10 * ('dora' in model) + int(model[-1].isdigit()
                                                       and model[-1])
            metrics = {
                f'davis/J&F/{n}': value + i
                for i, n in enumerate(NAMES)
            }
            metrics['davis/J&F-Mean'] = value + 1
            path = out / model / 'davis2016_davis/results.json'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(dict(metrics=metrics)))
        rows = [dict(title='DAVIS-2016 J&F')]
        (out / 'results.json').write_text(json.dumps(dict(rows=rows)))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, 'run', run)
    return ran


def test_command_and_again(programs, video, tmp_path, capsys):
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    command = [
        'dino=dino/vit-t16_demo', 'dora=dora/vit-t16_demo', 'floor=colour',
        '--untrained', 'dino', '--seeds', '0', '2', '--data',
        str(tmp_path), '--out-dir',
        str(tmp_path / 'out'), '--evaluation-options', OPTION,
        '--cfg-options', video, 'model.neck.out_channels=64'
    ]
    main(command)
    # a seed of all arms is finished before the next
    ran = [
        'train dino_s0', 'train dora_s0', f'evaluate 4 {OPTION}',
        'train dino_s2', 'train dora_s2', f'evaluate 7 {OPTION}'
    ]
    assert programs == ran
    numbers = json.loads((tmp_path / 'out/ablation.json').read_text())
    assert list(numbers['arms']['dora']) == ['dora_s0', 'dora_s2']
    found = numbers['metrics']['DAVIS-2016 J&F']
    assert found['sequences'] == list(NAMES)
    assert found['values']['dora'] == [[50, 51, 52], [52, 53, 54]]
    assert found['differences']['dora']['mean'] == pytest.approx(10)
    assert found['differences']['dora']['verdict'] == 'better'
    assert found['differences']['dino-untrained']['verdict'] == 'none'
    table = (tmp_path / 'out/ablation.txt').read_text()
    assert table.strip() in capsys.readouterr().out
    path, = (tmp_path / 'out/runs').glob('dora_s2_*/config.py')
    config = path.read_text()
    assert re.search(r'randomness ?= ?dict\(\s*seed=2\)', config)
    assert 'out_channels=64' in config

    # Nothing is trained twice but what changed, and no table of one seed takes
    # the place of that of two.
    (tmp_path / 'v.mp4').unlink()  # no training needs it any more
    main(command)
    assert programs[6:] == [ran[5]]
    (tmp_path / 'v.mp4').touch()
    main([*command[:-1], 'model.neck.out_channels=128'])
    assert programs[7:] == ran
    # A run is trained again where its checkpoint or its stamp is lost.
    runs = tmp_path / 'out/runs'
    for path in runs.glob('dino_s2_*/trained.json'):
        path.write_text('')
    for path in runs.glob('dora_s2_*/training/iter_2.pth'):
        path.unlink()
    main(command)
    assert programs[13:] == ran[2:]


def test_only_what_was_evaluated_now_is_compared(programs, tmp_path):
    """Of an earlier call, of another model or data, nothing is taken."""
    rows = [dict(title='DAVIS-2016 J&F')]
    (tmp_path / 'results.json').write_text(json.dumps(dict(rows=rows)))

    def write(model, name, metrics):
        path = tmp_path / model / name / 'results.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(metrics=metrics)))

    for model, names in (('a', NAMES), ('b', NAMES[::-1])):
        write(model, 'davis2016_davis', {
            'davis/J&F-Mean': 1.,
            **{f'davis/J&F/{n}': len(n) for n in names}
        })
        write(model, 'knn_cifar10-mini_cifar10_mini', {'knn/k20_top1': 9.})
    found = read_metrics(tmp_path, ['a', 'b'])
    assert list(found) == ['DAVIS-2016 J&F']
    # by their names, in whatever order they are
    assert found['DAVIS-2016 J&F']['values'] == dict(a=[4, 3, 3], b=[4, 3, 3])
    write('b', 'davis2016_davis', {
        'davis/J&F-Mean': 1.,
        **{f'davis/J&F/{n}': 1. for n in ('bear', 'car', 'owl')}
    })
    with pytest.raises(ValueError, match='dog, owl for one of a and b alone'):
        read_metrics(tmp_path, ['a', 'b'])


def test_failures_and_mistakes(programs, tmp_path, monkeypatch, capsys):
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    rest = ['--data', str(tmp_path), '--out-dir', str(tmp_path / 'out')]
    for wrong, message in ((['dora/vit-t16_demo'], 'NAME=CONFIG'),
                           (['a=colour', '--untrained', 'a'], 'untrained'),
                           (['a=colour', '--seeds', '1', '1'], 'seeds')):
        with pytest.raises(SystemExit):
            main([*wrong, *rest])
        assert message in capsys.readouterr().err
    demo = 'dora/vit-t16_demo'
    for wrong, message in (
        ([f'd={demo}', 'd_s0=colour'], 'd_s0 twice'),
        ([f'd={demo}', f'd-untrained={demo}', '--untrained', 'd'],
         'd-untrained twice'),
        (['=colour'], "name that a folder can have.*but got ''"),
        (['../a=colour'], "but got '../a'"),
        (['a=colour', '--only', 'davis20016'], 'but got davis20016'),
        (['a=colour', '--only', 'vip'], 'but got vip without'),
        ([f'a={demo}', '--evaluation-options', 'test_cfg.x=1'],
         '--evaluation-options of davis2016'),
    ):  # yapf: disable
        with pytest.raises(ValueError, match=message):
            main([*wrong, *rest])
    with pytest.raises(SystemExit):
        main(['a=dora/vit-t16_dem', *rest])
    assert 'did you mean dora/vit-t16_demo' in capsys.readouterr().err
    with pytest.raises(ValueError, match='--data must be a folder of data'):
        main([f'a={demo}', *rest[2:], '--data', str(tmp_path / 'davis')])
    assert not programs and not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('second', 'message'), [
    ('evaluation/davis2016', 'got no train_dataloader in .*davis2016.py: '
     'name a config that trains'),
    ('{tmp}/gone.py', 'config must be a file, but got .*gone.py'),
    ('{tmp}/broken.py', 'with SyntaxError'),
    ('{tmp}/two.py', r"video must be files .*'no.mp4'.*: check the path"),
])
def test_an_arm_that_cannot_train(programs, video, tmp_path, second, message):
    """Was found when the arms before it had been trained."""
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    (tmp_path / 'broken.py').write_text('a = = 3')
    demo = config_path('dora/vit-t16_demo.py')
    (tmp_path / 'one.py').write_text(f"""_base_ = {demo!r}
train_dataloader = dict(dataset=dict(video={str(tmp_path / 'v.mp4')!r}))""")
    (tmp_path / 'two.py').write_text(f"""_base_ = {demo!r}
train_dataloader = dict(dataset=dict(video='no.mp4'))""")
    with pytest.raises(ValueError, match=f'^arm b: .*{message}'):
        main([
            f'a={tmp_path}/one.py', f'b={second.format(tmp=tmp_path)}',
            '--data',
            str(tmp_path), '--out-dir',
            str(tmp_path / 'out')
        ])  # yapf: disable
    assert not programs and not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('option', 'message'), [
    ('mdoel.head.epsilon=1', 'got mdoel.head.epsilon: did you mean model'),
    ('model.head.epsilon=-1', 'model.head.epsilon must be finite'),
])
def test_options_that_no_arm_can_have(programs, video, tmp_path, option,
                                      message):
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    with pytest.raises(ValueError, match=f'^arm a: .*{message}'):
        main([
            'a=dora/vit-t16_demo', '--cfg-options', video, option, '--data',
            str(tmp_path), '--out-dir',
            str(tmp_path / 'out')
        ])  # yapf: disable
    with pytest.raises(ValueError, match=r'^arm a: .*between 0 and 2\*\*32'):
        main([
            'a=dora/vit-t16_demo', '--cfg-options', video, '--seeds', '1',
            f'{2**32}', '--data',
            str(tmp_path), '--out-dir',
            str(tmp_path / 'out')
        ])  # yapf: disable
    assert not programs and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('jobs', '12')
def test_trainings_that_fail(programs, video, tmp_path, monkeypatch, jobs):
    """Each is named, those behind it are trained, and nothing is compared."""
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, 'run', lambda command, **kwargs: run(command, **kwargs)
        if '/b_s0_' in command[2] else SimpleNamespace(returncode=1))
    arms = [f'{name}=dora/vit-t16_demo' for name in 'abc']
    with pytest.raises(
            RuntimeError, match='of a_s0_.* failed.*; .* of c_s0_.* failed'):
        main([
            *arms, '--jobs', jobs, '--data',
            str(tmp_path), '--out-dir',
            str(tmp_path / 'out'), '--cfg-options', video
        ])  # yapf: disable
    trained, = tmp_path.rglob('trained.json')
    assert trained.parent.name.startswith('b_s0_')
    assert programs == ['train b_s0']


def test_evaluations_that_fail(programs, video, tmp_path, monkeypatch):
    """The others are compared, and later seeds are trained all the same."""
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    run, states = subprocess.run, [True, False]

    def fails(command, **kwargs):
        done = run(command, **kwargs)
        if Path(command[1]).name == 'evaluate_all.py':
            done.returncode = 1
            if not states.pop(0):  # not one is left
                (tmp_path / 'out/evaluation/results.json').unlink()
        return done

    monkeypatch.setattr(subprocess, 'run', fails)
    command = [
        'a=dora/vit-t16_demo', '--seeds', '0', '1', '--data',
        str(tmp_path), '--evaluation-options', OPTION, '--out-dir',
        str(tmp_path / 'out'), '--cfg-options', video
    ]
    with pytest.raises(RuntimeError, match='^an evaluation failed: see abo'):
        main(command)
    assert programs == [
        'train a_s0', f'evaluate 1 {OPTION}', 'train a_s1',
        f'evaluate 2 {OPTION}'
    ]
    # of the second seed nothing was measured
    found = json.loads((tmp_path / 'out/ablation.json').read_text())
    assert list(found['arms']['a']) == ['a_s0']
    monkeypatch.setattr(subprocess, 'run', run)
    main(command)
    assert programs[4:] == [f'evaluate 2 {OPTION}']


def test_jobs_side_by_side(programs, video, tmp_path, monkeypatch):
    """Runs of a seed meet, and each keeps its own checkpoint."""
    main = runpy.run_path(str(ROOT / 'tools/ablate.py'))['main']
    meeting, run = threading.Barrier(2), subprocess.run

    def meet(command, stdout=None, **_):
        if Path(command[1]).name == 'train.py':
            assert stdout == subprocess.DEVNULL
            meeting.wait(timeout=300)
        else:
            assert command[command.index('--jobs') + 1] == '2'
        return run(command, stdout=stdout)

    monkeypatch.setattr(subprocess, 'run', meet)
    main([
        'a=dino/vit-t16_demo', 'b=dora/vit-t16_demo', '--seeds', '1',
        '--jobs', '2', '--data',
        str(tmp_path), '--out-dir',
        str(tmp_path / 'out'), '--evaluation-options', OPTION,
        '--cfg-options', video
    ])  # yapf: disable
    arms = json.loads((tmp_path / 'out/ablation.json').read_text())['arms']
    for name in 'ab':
        path, = arms[name].values()
        assert Path(path).parts[-3].startswith(f'{name}_s1_')
