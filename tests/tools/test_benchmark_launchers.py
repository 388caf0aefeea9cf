"""What the launchers of the hosts run, with the last program replaced."""
import os
import runpy
import subprocess
from pathlib import Path

import pytest
import torch
from small_runs import assert_same_features, make_run
from warm_python import warm_interpreter

import dora_mm
from dora_mm import checkpoints
from dora_mm.models import build_backbone, load_backbone
from dora_mm.utils.shipped_configs import config_path

TOOLS = Path(__file__).parents[2] / 'tools' / 'benchmarks'
NAME = 'benchmarks/mmsegmentation/linear_vit-s16_ade20k-160k'
# Questions go to an interpreter, a training run is only written down.
STUB = """#!/usr/bin/env bash
case "$*" in
    *train.py*|*"mim train"*) printf '%s\\n' "$(basename "$0")" "$@" ;;
    *) exec {python} "$@" ;;
esac
"""


class _Payload:

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}', )


@pytest.fixture
def launch(tmp_path):
    """Run a launcher: the words of the command that it ended in."""
    warm = warm_interpreter(tmp_path)
    for name in ('python', 'srun'):
        (tmp_path / name).write_text(STUB.format(python=warm))
        (tmp_path / name).chmod(0o755)
    (tmp_path / 'config.py').write_text('model = dict()')
    env = dict(
        os.environ,
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        PYTHONPATH=str(Path(dora_mm.__file__).parents[1]),
        BACKBONES=str(tmp_path / 'backbones'))

    def run(script, *args, status=0, **more):
        done = subprocess.run(['bash', TOOLS / script, *map(str, args)],
                              capture_output=True,
                              text=True,
                              cwd=tmp_path,
                              env=dict(env, **more))
        assert done.returncode == status, done.stderr
        return done.stdout.splitlines() if status == 0 else done.stderr

    return run


def test_one_process_from_the_authors_file(launch, make_authors, save,
                                           tmp_path):
    """Published once, whatever it was, and given to the host's train.py."""
    pytest.importorskip('mmseg')
    source = save(make_authors())
    command = launch('mmsegmentation/dist_train.sh', NAME, source, 1,
                     '--work-dir', 'x')
    assert command[:1] == ['python']
    assert command[1].endswith('mmseg/.mim/tools/train.py')
    assert command[2] == config_path(NAME)
    key, path = command[4].split('=')
    assert command[3] == '--cfg-options' and command[5:] == ['--work-dir', 'x']
    assert key == 'model.backbone.init_cfg.checkpoint'
    data = torch.load(path, weights_only=True)
    assert data['meta']['backbone_of'] == 'teacher'
    assert launch('mmsegmentation/dist_train.sh', NAME, source,
                  1)[4] == (f'{key}={path}')
    # A published file is taken as it is.
    assert launch('mmsegmentation/dist_train.sh', NAME, path,
                  1)[4] == f'{key}={path}'
    assert os.listdir(tmp_path / 'backbones') == [Path(path).name]


def test_runner_checkpoint_on_many_gpus_and_machines(launch, make_authors,
                                                     save, tmp_path):
    checkpoints.convert(
        save(make_authors()), tmp_path / 'iter_7.pth', 'dora_mm',
        build_backbone)
    command = launch('mmpretrain/dist_train.sh', tmp_path / 'config.py',
                     tmp_path / 'iter_7.pth', 4)
    start = command[1:6]
    assert start == [
        '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '4'
    ]
    assert command[6].endswith('mmpretrain/.mim/tools/train.py')
    assert command[7:10] == [
        str(tmp_path / 'config.py'), '--launcher', 'pytorch'
    ]
    assert '/iter_7-' in command[11]
    command = launch(
        'mmpretrain/dist_train.sh',
        tmp_path / 'config.py',
        'random',
        1,
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='a',
        PORT='7')
    assert command[3:11] == [
        '--nnodes', '2', '--node_rank', '1', '--master_addr', 'a',
        '--master_port', '7'
    ]
    assert command[-1] == 'model.backbone.init_cfg=None'


def test_slurm(launch, tmp_path):
    command = launch(
        'mmpretrain/slurm_train.sh',
        tmp_path / 'config.py',
        'random',
        16,
        PARTITION='p',
        SRUN_ARGS='--qos high')
    assert command[:1] == ['srun'] and '--qos' in command
    options = dict(zip(command[1::2], command[2::2]))
    assert options['--partition'] == 'p' and options['--ntasks'] == '16'
    assert options['--ntasks-per-node'] == '8'
    assert command[command.index('--launcher') + 1] == 'slurm'
    error = launch(
        'mmpretrain/slurm_train.sh',
        tmp_path / 'config.py',
        'random',
        1,
        status=1)
    assert 'set PARTITION' in error


@pytest.mark.parametrize('host, package',
                         [('mmsegmentation', {'mmsegmentation'}),
                          ('mmdetection', {'mmdet', 'mmdetection'})])
def test_mim(launch, host, package, tmp_path):
    command = launch(f'{host}/mim_dist_train.sh', tmp_path / 'config.py',
                     'random', 2)
    assert command[1:4] == ['-m', 'mim', 'train']
    assert command[4] in package
    assert command[5] == str(tmp_path / 'config.py')
    assert command[command.index('--launcher') + 1] == 'pytorch'
    assert command[-2:] == ['--cfg-options', 'model.backbone.init_cfg=None']


def test_mistakes_are_told(launch, tmp_path, make_authors, save):
    script = 'mmpretrain/dist_train.sh'
    assert 'GPUS is a number' in launch(script, NAME, 'x.pth', status=2)
    assert "but got 'no/such'" in launch(
        script, 'no/such', 'random', 1, status=2)
    error = launch(script, NAME, 'no.pth', 1, status=1)
    assert 'no.pth is not a file' in error
    broken = make_authors()
    del broken['teacher']['backbone.norm.weight']
    error = launch(script, NAME, save(broken), 1, status=1)
    assert 'norm.weight' in error
    assert not list((tmp_path / 'backbones').glob('*'))


def test_files_that_a_host_would_run_are_refused(launch, save, tmp_path):
    """Before its train.py starts, which reads them with full rights."""
    evil = save(dict(state_dict={}, hook=_Payload(tmp_path / 'executed')))
    config = tmp_path / 'config.py'
    script = 'mmpretrain/dist_train.sh'
    error = launch(script, config, 'random', 1, f'load_from={evil}', status=1)
    assert error.splitlines()[-1].startswith('error: ' + evil)
    assert '--trust' in error and 'Traceback' not in error
    command = launch(script, config, 'random', 1, '--trust', '--resume', evil)
    assert command[-2:] == ['--resume', evil]
    assert '--trust' not in command  # the host does not know it
    assert not (tmp_path / 'executed').exists()


def test_published_file_is_not_published_again(make_authors, save, tmp_path,
                                               run_tool):
    path = checkpoints.publish(
        save(make_authors()), tmp_path / 'vit.pth', build_backbone).path
    done = run_tool('benchmarks/prepare_backbone.py', path, tmp_path / 'other')
    assert done.stdout.splitlines()[-1] == str(path)
    assert not (tmp_path / 'other').exists()


def test_what_a_file_does_not_say_is_an_option(launch, tmp_path, capsys):
    """And is asked for by the names that all tools have."""
    source, folder = tmp_path / 'run.pth', tmp_path / 'backbones'
    own = make_run(source, heads=8, size=(16, 64), say=False)
    main = runpy.run_path(str(TOOLS / 'prepare_backbone.py'))['main']
    with pytest.raises(ValueError, match='give --num-heads, --img-size, '):
        main([str(source), str(folder)])
    words = '--num-heads 8 --img-size 16 64 --norm-eps 1e-6 --activation gelu'
    command = launch('mmpretrain/dist_train.sh', 'config.py', source, 1,
                     *words.split(), '--work-dir', 'x')
    assert command[5:] == ['--work-dir', 'x']
    path = command[4].split('=')[1]
    assert_same_features(
        load_backbone(path, pos_interp='size'), own, (16, 64))
    # other options are another file, and a file that says it is not overruled
    other = words.replace('8', '2', 1).split()
    main([str(source), str(folder), *other])
    assert capsys.readouterr().out.strip() != path
    with pytest.raises(ValueError, match='num_heads must be 8'):
        main([path, str(folder), *other])
