"""No tool and no launcher runs what a checkpoint names."""
import ast
import os
import pickle
import runpy
import zipfile

import numpy as np
import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.models import VisionTransformer
from tiny import build_runner, model_cfg

from dora_mm import checkpoints
from dora_mm.apis import DoRAInferencer
from dora_mm.checkpoints.plain_checkpoints import load_plain, plain_checkpoints
from dora_mm.checkpoints.run_config import check_runnable
from dora_mm.models import ModelLoader, build_backbone


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Reaches:
    """What mmengine's list of safe names allows."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """A run's checkpoint, whose logs and settings are in it."""
    folder = tmp_path_factory.mktemp('run')
    build_runner(
        folder,
        max_epochs=1,
        default_hooks=dict(
            checkpoint=dict(type='dora_mm.StepCheckpointHook',
                            interval=1))).train()
    return folder / 'epoch_1.pth'


TRAPS = {}


def trap(make):
    TRAPS[make.__name__] = make
    return make


@trap
def whole_file(good, path, command):
    torch.save(Calls(os.system, command), path)


@trap
def legacy_format(good, path, command):
    torch.save(
        dict(state_dict={}, a=Calls(os.system, command)),
        path,
        _use_new_zipfile_serialization=False)


@trap
def one_entry(good, path, command):
    data = torch.load(good, weights_only=False)
    data['meta']['note'] = Calls(os.system, command)
    torch.save(data, path)


@trap
def eval_of_text(good, path, command):
    data = torch.load(good, weights_only=False)
    data['optimizer']['note'] = Calls(eval, f'__import__("os").system'
                                      f'({command!r})')
    torch.save(data, path)


@trap
def plain_pickle(good, path, command):
    path.write_bytes(pickle.dumps(Calls(os.system, command), protocol=4))


@trap
def in_a_zip(good, path, command):
    inner = path.with_name('inner.pth')
    torch.save(Calls(os.system, command), inner)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.write(inner, 'iter_1/iter_1.pth')


@trap
def script_archive(good, path, command):
    torch.jit.save(torch.jit.script(torch.nn.Identity()), path)


@trap
def reached_attribute(good, path, command):
    data = torch.load(good, weights_only=False)
    data['message_hub']['runtime_info']['a'] = Reaches()
    torch.save(data, path)


@trap
def array_of_objects(good, path, command):
    data = torch.load(good, weights_only=False)
    history = next(iter(data['message_hub']['log_scalars'].values()))
    history._log_history = np.array([Calls(os.system, command)], object)
    torch.save(data, path)


@trap
def deep(good, path, command):
    data = value = []
    for _ in range(300):
        value.append([])
        value = value[0]
    torch.save(dict(state_dict=data), path)


@pytest.fixture
def hostile(request, good, tmp_path):
    """The file of a trap; nothing of it may run."""
    mark = tmp_path / 'executed'
    path = tmp_path / 'iter_9.pth'
    TRAPS[request.param](good, path, f'touch {mark}')
    yield path
    assert not mark.exists()


def tool(name):
    return runpy.run_path(str(ROOT / 'tools' / name))


def resume(path):
    runner = build_runner(path.with_name('work'), load_from=str(path))
    runner._resume = True
    with plain_checkpoints():
        runner.train()


def pretrained(path):
    model = VisionTransformer(
        dict(
            embed_dims=48, num_layers=1, num_heads=4,
            feedforward_channels=96),
        init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with plain_checkpoints():
        model.init_weights()


def random_start(path):
    config = path.with_name('config.py')
    model = model_cfg()
    model['backbone']['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(path))
    Config(dict(model=model)).dump(config)
    ModelLoader(config).tracker()


def replay(path):
    tool('replay.py')['replay_config'](path.parent, 99, 'none')


def host(path):
    config = path.with_name('host.py')
    config.write_text('model = dict()')
    check_run = tool('benchmarks/prepare_backbone.py')['check_run']
    ways = [('--resume', str(path)), ('--cfg-options', f'load_from={path}')]
    if not path.with_name('inner.pth').exists():  # torch reads no such zip
        ways.append(('--cfg-options', f'model.teacher_ckpt={path}'))
    for options in ways:
        with pytest.raises(ValueError):
            check_run([str(config), *options])
    (path.parent / 'last_checkpoint').write_text(str(path))
    check_run([str(config), '--work-dir', str(path.parent), '--resume'])


def prepare(path):
    tool('benchmarks/prepare_backbone.py')['main'](
        [str(path), str(path.with_name('out'))])


def convert(path):
    checkpoints.convert(path, path.with_name('o.pth'), 'timm', build_backbone)


def publish(path):
    checkpoints.publish(path, path.with_name('o.pth'), build_backbone)


# What our own tools take as data, stand-ins among it.
READERS = (ModelLoader, DoRAInferencer, convert, publish, prepare)
# What goes to a Runner; all of them through the first.
LOADERS = (load_plain, host, resume, pretrained, random_start, replay)


@pytest.mark.parametrize(
    ('hostile', 'load'),
    [(name, load) for name in TRAPS for load in LOADERS[:2]] +
    [(name, load) for name in ('one_entry', 'reached_attribute')
     for load in LOADERS[2:]],
    indirect=['hostile'],
    ids=lambda item: getattr(item, '__name__', item))
def test_nothing_runs_that_a_runner_loads(hostile, load):
    with pytest.raises(ValueError, match='damaged|refused|must hold|whole'):
        load(hostile)


@pytest.mark.parametrize('load', READERS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    'hostile', ['whole_file', 'legacy_format', 'one_entry', 'plain_pickle'],
    indirect=True)
def test_nothing_runs_that_a_tool_reads(hostile, load):
    with pytest.raises(ValueError, match='refused|cannot be read'):
        load(hostile)


@pytest.mark.parametrize('name', ['whole_file', 'legacy_format', 'one_entry'])
def test_the_traps_work(good, tmp_path, name):
    """With ``--trust``, or in mmengine as it is."""
    path = tmp_path / 'a.pth'
    TRAPS[name](good, path, f'touch {tmp_path}/executed')
    with plain_checkpoints(trust=True):
        try:
            load_checkpoint(torch.nn.Identity(), str(path))
        except RuntimeError:  # os.system gives no state dict
            pass
    assert (tmp_path / 'executed').exists()


def test_text_that_mmengine_executes_is_left_out(good, tmp_path):
    data = torch.load(good, weights_only=False)
    data['meta']['config'] = f'open({str(tmp_path / "executed")!r}, "w")'
    torch.save(data, tmp_path / 'a.pth')
    resume(tmp_path / 'a.pth')
    assert not (tmp_path / 'executed').exists()


def test_a_runner_gets_what_was_saved(good):
    found, saved = load_plain(good), torch.load(good, weights_only=False)
    check_same(found, saved)
    assert found['state_dict']._metadata == saved['state_dict']._metadata


def check_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            check_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for parts in zip(one, other):
            check_same(*parts)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other)
    elif isinstance(one, HistoryBuffer):
        for parts in zip(one.data, other.data):
            check_same(*parts)
        assert one.max_length == other.max_length
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and (one == other).all()
    else:
        assert one == other


def test_mmengine_is_as_before_afterwards():
    before = vars(CheckpointLoader)['load_checkpoint']
    with pytest.raises(KeyError), plain_checkpoints():
        assert vars(CheckpointLoader)['load_checkpoint'] is not before
        raise KeyError
    assert vars(CheckpointLoader)['load_checkpoint'] is before


@pytest.mark.parametrize('cfg', [
    dict(custom_hooks=[dict(type='os.system', command='a')]),
    dict(model=dict(init_cfg=dict(type='subprocess.call', args=['a']))),
    dict(custom_imports=dict(imports='antigravity')),
    dict(model=dict(type='dora_mm.load_backbone', source='a', trust=True)),
])
def test_config_of_a_checkpoint_that_runs_code_is_refused(cfg):
    with pytest.raises(ValueError, match='--trust'):
        check_runnable(cfg)


def calls(tree):
    """Calls of a program by their text, with the items of ``with`` around."""

    def visit(node, around):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            around = around + [ast.unparse(i.context_expr) for i in node.items]
        if isinstance(node, ast.Call):
            yield ast.unparse(node), around
        for child in ast.iter_child_nodes(node):
            yield from visit(child, around)

    return visit(tree, [])


def test_every_file_is_read_by_these_functions():
    """All of the package and of the tools; no other way to a pickle."""
    package = [
        path for path in (ROOT / 'dora_mm').rglob('*.py')
        if '.mim' not in path.parts
    ]
    runs = 0
    for path in [*package, *(ROOT / 'tools').rglob('*.py')]:
        for call, around in calls(ast.parse(path.read_text())):
            if call.startswith('torch.load('):
                assert 'weights_only=True' in call or (
                    path.name == 'safe_load.py'), (path, call)
            # What packed_list.py reads it has written, and no file has it.
            assert path.name == 'packed_list.py' or not call.startswith(
                ('pickle.', 'joblib.', 'torch.jit.load', 'torch.hub.')), path
            assert 'allow_pickle' not in call, path
            if call in ('runner.train()',
                        'QuietRunner.from_cfg(cfg).test()'):
                assert any('plain_checkpoints(' in c for c in around), path
                runs += 1
    assert runs == 3  # train.py, test.py and replay.py
    launchers = list((ROOT / 'tools/benchmarks').glob('*/*.sh'))
    assert len(launchers) == 9
    for path in launchers:
        assert 'launch.sh' in path.read_text()
