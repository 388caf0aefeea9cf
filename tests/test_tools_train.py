"""tools/train.py and dist_train.sh, with a model of one parameter."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.registry import VISBACKENDS, VISUALIZERS

import dora_mm
from dora_mm.engine.merge_options import merge_options
from dora_mm.engine.try_settings import try_settings
from dora_mm.utils.shipped_configs import config_path, list_configs

TOY_MODULE = '''
import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.utils import deprecated_api_warning


@DATASETS.register_module()
class ToyData(torch.utils.data.Dataset):

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return dict(inputs=torch.tensor([float(index)]))


@MODELS.register_module()
class ToyModel(BaseModel):
    """Least squares: the weight goes to the mean of the data."""

    @deprecated_api_warning(dict(sizing='size'))
    def __init__(self, size=1):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, mode='tensor'):
        return dict(loss=(0.5 * (inputs - self.weight)**2).mean())
'''
TOY_CONFIG = '''
custom_imports = dict(imports=['toy_module'])
betas = pairs = None  # of the user
model = dict(type='ToyModel')
train_dataloader = dict(
    batch_size=8, num_workers=0, dataset=dict(type='ToyData'),
    sampler=dict(type='DefaultSampler', shuffle=False))
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
train_cfg = dict(by_epoch=True, max_epochs=1)
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
'''


def load_train():
    spec = importlib.util.spec_from_file_location('train_tool',
                                                  ROOT / 'tools' / 'train.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


train = load_train()


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch):
    """parse_args sets LOCAL_RANK for the process."""
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.delenv('RANK', raising=False)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The path of the toy config."""
    (tmp_path / 'toy_module.py').write_text(TOY_MODULE)
    (tmp_path / 'toy.py').write_text(TOY_CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield str(tmp_path / 'toy.py')
    # The next test registers the same names from another folder.
    if sys.modules.pop('toy_module', None):
        from mmengine.registry import DATASETS, MODELS
        MODELS.module_dict.pop('ToyModel')
        DATASETS.module_dict.pop('ToyData')


def merge(config, *argv):
    args = train.parse_args([config, *argv])
    return train.merge_args(Config.fromfile(config), args)


def test_defaults_are_mmpretrains(toy):
    cfg = merge(toy)
    assert cfg.work_dir == os.path.join('./work_dirs', 'toy')
    assert cfg.launcher == 'none'
    assert cfg.get('resume', False) is False
    loader = cfg.train_dataloader
    assert loader.pin_memory is True
    assert loader.collate_fn == dict(type='default_collate')
    # torch raises for persistent workers that there are none of.
    assert loader.persistent_workers is False


def test_loader_options(toy):
    workers = ('--cfg-options', 'train_dataloader.num_workers=2')
    assert merge(toy, *workers).train_dataloader.persistent_workers is True
    loader = merge(toy, '--no-pin-memory', '--no-persistent-workers',
                   *workers).train_dataloader
    assert loader.pin_memory is False
    assert loader.persistent_workers is False


def test_collate_function_of_an_inherited_config(tmp_path):
    """mmengine would call it with the argument _scope_='dora_mm'."""
    config = tmp_path / 'own.py'
    name = 'dora_mm::dora/vit-s16_wt.py'
    config.write_text(f'_base_ = {name!r}')
    try:
        cfg = Config.fromfile(str(config))
    except FileNotFoundError:
        pytest.skip(f'{name} needs an installed dora_mm, with its .mim')
    assert cfg.train_dataloader.collate_fn._scope_ == 'dora_mm'
    loader = merge(str(config)).train_dataloader
    assert loader.collate_fn == dict(type='default_collate')


def test_data_of_an_inherited_config(tmp_path):
    """Its settings were refused: unexpected keyword argument '_scope_'."""
    config = tmp_path / 'own.py'
    config.write_text("_base_ = 'dora_mm::dora/vit-t16_demo.py'")
    (tmp_path / 'v.mp4').touch()  # never opened
    cfg = merge(str(config), '--cfg-options',
                f'train_dataloader.dataset.video={tmp_path / "v.mp4"}')
    assert cfg.train_dataloader.dataset._scope_ == 'dora_mm'
    try_settings(cfg)
    cfg.train_dataloader.dataset.start_stride = 0
    with pytest.raises(ValueError, match='start_stride must be'):
        try_settings(cfg)


@pytest.mark.parametrize('registry', [VISUALIZERS, VISBACKENDS])
def test_mmengine_finds_our_scope_for_pictures(registry):
    """It warned of unexpected failures of each inherited config."""
    with registry.switch_scope_and_registry('dora_mm') as found:
        assert found.scope == 'dora_mm'
        assert found.get('Visualizer' if registry is
                         VISUALIZERS else 'LocalVisBackend') is not None


def test_without_workers(toy):
    """torch asserts about both with a loader of the base config."""
    base = ('--cfg-options', 'train_dataloader.timeout=600',
            'train_dataloader.persistent_workers=True',
            'train_dataloader.num_workers=2')
    merge(toy, *base).dump('toy.py')
    loader = merge(toy, '--cfg-options',
                   'train_dataloader.num_workers=0').train_dataloader
    assert (loader.persistent_workers, loader.timeout) == (False, 0)


def test_options_keep_their_spaces(toy):
    """Without them another file was opened."""
    cfg = merge(toy, '--cfg-options', 'load_from=my drive (1).pth',
                "betas=['my walk.mp4', 'b c.mp4']", 'model.size=( 4 , 5 )')
    assert cfg.load_from == 'my drive (1).pth'
    assert cfg.betas == ['my walk.mp4', 'b c.mp4']
    assert cfg.model['size'] == (4, 5)


@pytest.mark.parametrize(('value', 'message'), [
    ('dict(size=3)', 'one by one, KEY.NAME=VALUE'),
    ('dict(size=3,to=4)', 'one by one'),
    ('[dict(type=EMAHook)]', 'one by one'),
    ('{type:A,size:3}', 'one by one'),
    ('[a.mp4,b.mp4', 'brackets that close'),
])
def test_options_that_mmengine_misreads(toy, value, message):
    """As texts, or without end."""
    with pytest.raises(ValueError, match=f'--cfg-options must .*{message}'):
        merge(toy, '--cfg-options', f'model={value}')
    assert merge(toy, '--cfg-options', 'pairs=a{}.pth').pairs == 'a{}.pth'


def test_whole_numbers_written_as_floats(toy):
    """Steps counted by 2.0 ended in a TypeError about slices."""
    cfg = merge(
        config_path('dora/vit-t16_demo.py'), '--cfg-options',
        'model.head.num_objects=2.0', 'train_dataloader.batch_size=1e1',
        'model.data_preprocessor.gray_prob=1.0')
    assert repr(cfg.model.head.num_objects) == '2'
    assert repr(cfg.train_dataloader.batch_size) == '10'
    assert repr(cfg.model.data_preprocessor.gray_prob) == '1.0'


@pytest.mark.parametrize(('option', 'near'), [
    ('train_dataloder.batch_size=4', 'train_dataloader'),
    ('default_hooks.logger.intervall=3', 'interval'),
    ('load_form=a.pth', 'load_from'),
    ('default_hooks.chekpoint.interval=3', 'checkpoint'),
    ('optim_wrapper.optimizer.learning_rate=1', '.*'),
    ('model.sizes=3', 'size'),
    ('train_dataloader.bath_size=1', 'batch_size'),
    ('train_dataloader.sampler.a=1', '.*'),
    ('anything=1', '.*'),
    ('modl.head.type=A', 'model'),
    ('optim_wrapper.constructro=A', 'constructor'),
    ('default_hooks.loggre.type=A', 'logger'),
])
def test_near_misses_are_refused(toy, option, near):
    with pytest.raises(ValueError, match=f'did you mean {near}'):
        merge(toy, '--cfg-options', option)
    merge(toy, '--cfg-options', 'betas=3', 'model.size=3',
          'load_from=a.pth', 'default_hooks.checkpoint.interval=3',
          'train_cfg.val_begin=2', 'optim_wrapper.optimizer.momentum=0.9')


@pytest.mark.parametrize(('line', 'near'), [
    ('train_dataloder = dict(batch_size=4)', 'train_dataloader'),
    ("default_hooks.update(checkpoint=dict(type='CheckpointHook', "
     'intervall=3))', 'interval'),
    ('randomness = dict(sed=3)', 'seed'),
    ("custom_hooks = [dict(type='EMAHook', begin_itr=3)]", 'begin_iter'),
    ('optim_wrapper.update(paramwise_cfg=dict(norm_decay_mul=0))',
     'norm_decay_mult'),
    ("optim_wrapper.update(paramwise_cfg=dict(custom_keys={'a.b': dict("
     'lr_mul=0)}))', 'lr_mult'),
])
def test_near_misses_of_a_config_are_refused(toy, line, near):
    Path('own.py').write_text(f'{TOY_CONFIG}\n{line}\n')
    with pytest.raises(ValueError, match=f'config .*did you mean {near}'):
        merge('own.py')


HOSTS_CONFIG = """
model.update(sizing=3)  # a name of before
val_evaluator_abs = dict(type='Gone')
data = dict(train=dict(pipeline=[dict(type='Gone', keys=['img'])]))
test_cfg = dict()
test_dataloader = dict(dataset=dict(type='Gone'))
test_evaluator = dict(type='Gone')
visualizer = dict(type='Visualizer', name='visualizer')
train_dataloader['dataset'].update(pipeline=[dict(
    type='mmpretrain.RandAugment', num_policies=1, total_level=9,
    magnitude_level=9, policies=[dict(
        type='mmpretrain.Rotate', magnitude_key='angle',
        magnitude_range=(0, 30))])])
"""


def test_what_configs_of_the_hosts_hold_is_not_refused(toy, monkeypatch):
    """Each ended at its line what mmengine trains with."""
    Path('own.py').write_text(TOY_CONFIG + HOSTS_CONFIG)
    opened = []
    monkeypatch.setattr('mmengine.registry.DATASETS.build',
                        lambda *args, **kwargs: opened.append(1))
    with pytest.raises(ValueError, match='train_dataloader'):
        train.main(['own.py'])
    assert opened


@pytest.mark.parametrize(('option', 'wanted', 'value'), [
    ('optim_wrapper.optimizer.lr', 'a number', 'fast'),
    ('optim_wrapper.optimizer.lr', 'a number', 'nan'),
    ('optim_wrapper.optimizer.eps', 'a number', 'None'),
    ('optim_wrapper.optimizer.amsgrad', 'True or False', '1'),
    ('optim_wrapper.accumulative_counts', 'a whole number', '1.5'),
    ('optim_wrapper.type', 'the name of a class', '3'),
    ('optim_wrapper', 'a dict or None', 'text'),
    ('randomness.seed', 'a whole number or None', 'text'),
    ('custom_hooks', 'a list', '3'),
    ('default_hooks', 'a dict', 'None'),
    ('default_hooks.finite', 'the dict of a hook', 'None'),
    ('default_hooks.checkpoint.interval', 'a whole number', '1.5'),
    ('log_level', 'one of DEBUG, .*', 'LOUD'),
    ('env_cfg', 'a dict', 'None'),
    ('env_cfg.mp_cfg.opencv_num_threads', 'a whole number', 'text'),
    ('train_dataloader.num_workers', 'a whole number', '1.5'),
    ('train_dataloader.pin_memory', 'True or False', 'text'),
    ('model.backbone.out_indices', 'a whole number or a list', 'last'),
    ('model.backbone.final_norm', 'True or False', 'text'),
    ('model.head.epsilon', 'a number', 'text'),
    ('param_scheduler.0.warmup', 'a whole number', 'text'),
    ('train_dataloader.dataset.video', 'a text or a list', '3'),
    ('resume', 'True or False', 'text'),
])
def test_a_value_of_another_kind_is_refused(option, wanted, value):
    """By name and before anything is opened; torch raised of '<='."""
    config = config_path('dora/vit-t16_demo.py')
    with pytest.raises(ValueError, match=f'^{option} must be {wanted}, but '
                       f"got '?{value}'?: correct it"):
        merge(config, '--cfg-options', f'{option}={value}')


def test_values_that_python_takes_pass():
    merge(
        config_path('dora/vit-t16_demo.py'), '--cfg-options',
        'optim_wrapper.optimizer.lr=1', 'optim_wrapper.optimizer.betas=0.9,1',
        'model.backbone.img_size=(32,48)', 'default_hooks.logger=None',
        'train_cfg.max_epochs=2.0', 'param_scheduler=None',
        'train_dataloader.dataset.video=[a.mp4,b.mp4]')


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """Let nothing be opened, and nothing be left but the config."""
    before = {*tmp_path.iterdir()}
    monkeypatch.setattr('mmengine.registry.DATASETS.build', None)
    yield
    left = {path.name for path in {*tmp_path.iterdir()} - before}
    assert left <= {'__pycache__'}


@pytest.mark.parametrize(('option', 'section', 'reason'), [
    ('optim_wrapper.optimizer.lr=-1', 'optim_wrapper', 'learning rate: -1'),
    ('train_dataloader.batch_size=0', 'train_dataloader', 'batch_size=0'),
    ('train_dataloader.timeout=-1', 'train_dataloader', 'non-negative'),
    ('train_dataloader.batch_sampler=3', 'train_dataloader', 'exclusive'),
    ('default_hooks.logger.interval=0', 'default_hooks', 'greater than 0'),
    ('randomness.seed=-1', 'randomness', 'Seed must be between 0'),
    ('env_cfg.mp_cfg.mp_start_method=a', 'env_cfg', "context for 'a'"),
    ('param_scheduler.type=ExponentialLR', 'param_scheduler', 'gamma'),
    ('runner_type=Gone', 'runner_type', 'the nearest one is .*Runner'),
    ('model.bias=1', '--cfg-options', 'got model.bias'),
    ('train_cfg.max_epochs.a=3', '--cfg-options', 'max_epochs.a=3'),
])
def test_what_cannot_be_built_names_its_section(toy, no_data, option, section,
                                                reason):
    """Before the data set is opened."""
    with pytest.raises(ValueError, match=f'{section}.* must .*{reason}'):
        train.main([toy, '--cfg-options', option])


def test_a_run_that_is_refused_leaves_no_dated_folder(toy, monkeypatch):
    """It had a log of nothing, and its config took the place of the last."""
    monkeypatch.setattr('mmengine.registry.DATASETS.build', None)
    # mmengine names a run after its second, and runs of one name share parts.
    monkeypatch.setattr('time.time', lambda: 1.8e9)
    for _ in range(2):
        with pytest.raises(ValueError, match='train_dataloader must'):
            train.main([toy])
        assert not list(Path('work_dirs').glob('*/*'))


def test_a_run_of_no_batches_is_refused(toy):
    """mmengine saved it as one that had trained."""
    with pytest.raises(ValueError, match='batch_size must be at most the 8 '):
        train.main([
            toy, '--cfg-options', 'train_dataloader.batch_size=9',
            'train_dataloader.drop_last=True'
        ])
    assert not list(Path('work_dirs').glob('*/*'))


@pytest.fixture
def one_video(tmp_path):
    (tmp_path / 'v.mp4').touch()  # never opened
    return f'train_dataloader.dataset.video={tmp_path / "v.mp4"}'


@pytest.mark.parametrize(('option', 'message'), [
    ('train_dataloader.dataset.pipeline=[]',
     r'train_dataloader.dataset.pipeline must .*got \[\]: add dict'),
    ('train_dataloader.dataset.pipeline.2.type=dora_mm.DecodeImage',
     'train_dataloader.dataset.pipeline must end with a transform that packs'),
    ('train_dataloader.dataset.pipeline.1.size=0',
     'train_dataloader.dataset.pipeline.1.size must be a positive number'),
    ('train_dataloader.dataset.clip_len=0',
     'train_dataloader.dataset.clip_len must be .* at least 1, but got 0'),
    ('train_dataloader.dataset.video=no.mp4', 'video must .*no.mp4'),
    ('train_dataloader.sampler=None', 'sampler must have skip'),
    ('train_dataloader.sampler.num_samples=0', 'num_samples must be at least'),
    ('train_dataloader.collate_fn=3', 'collate_fn must be a dict or None'),
    ('train_dataloader.collate_fn.type=pseudo_collate',
     r'inputs must be one uint8 tensor, but got list: .*default_collate'),
    ('train_dataloader.dataset.pipeline.0.type=dora_mm.ReadClipJPEGs',
     r"must be dict\(type='pseudo_collate'\) behind dora_mm.ReadClipJPEGs"),
    ('model.compile_layers.backend=nonsense',
     "^model.compile_layers must be arguments of torch.compile.*'nonsense'"),
    ('train_dataloader.collate_fn.of=3', "collate_fn must .*argument 'of'"),
    ('train_dataloader.dataset.pipeline.0.type=dora_mm.DecodeImage',
     'pipeline must begin with a transform that reads clips'),
    ('param_scheduler.0.warmup=-1',
     'warmup of the schedule of lr must be at least 0 .* but got -1'),
    ('param_scheduler.0.param_name=gone', "param_scheduler must .*'gone'"),
    ('param_scheduler.0.begin=-1',
     'param_scheduler.0.begin must be at least 0, but got -1'),
    ('default_scope=text', 'default_scope must .*package, but got .text'),
    ('default_hooks.checkpoint.interval=0',
     'default_hooks.checkpoint.interval must be at least 1, or -1 for never'),
    ('default_hooks.checkpoint.max_keep_ckpts=0', 'at least 1, or -1 for all'),
    ('default_hooks.checkpoint.backend_args.backend=gone',
     "default_hooks.checkpoint must .*KeyError: 'gone'"),
    ('visualizer.vis_backends=3', 'visualizer.vis_backends must be a list'),
    ('vis_backends=3', 'did you mean visualizer.vis_backends'),
    ('max_epochs=3', 'did you mean train_cfg.max_epochs'),
    ('optim_wrapper.optimizer.type=AdamWW',
     'optim_wrapper.optimizer.type must .*the nearest one is AdamW'),
    ('optim_wrapper.constructor=DecayGroups', 'dora_mm.DecayGroupsConstr'),
    ('model.loss.type=dora_mm.DoRALos', 'nearest one is dora_mm.DoRALoss'),
    ('optim_wrapper.optimizer.betas=[0.9,0.99,0.9]',
     'optimizer.betas must be a list of 2, but got'),
    ('optim_wrapper.optimizer.lr=inf', 'optimizer.lr must be a number'),
    ('train_cfg.max_epochs=0', 'train_cfg.max_epochs must be at least 1'),
    ('model.head.epsilon=-1',
     'model.head.epsilon must be finite and at least 1e-30, but got -1'),
    ('custom_hooks.1.max_norm=0', 'custom_hooks.1.max_norm must be positive'),
    ('load_from=', "load_from must be a path, but got '': correct"),
    ('load_from=gone.pth', 'load_from must be a file, but got gone.pth'),
    ('train_dataloader.dataset.video=', 'dataset.video must be a path'),
    ('optim_wrapper.clip_grad.max_nrom=1', "clip_grad must .*'max_nrom'"),
    ('optim_wrapper.paramwise_cfg.bias_decay_mul=0', 'mean bias_decay_mult'),
    ('train_dataloader.sampler.type=InfiniteSampler', 'have skip and span'),
    ('train_dataloader.generator=3', 'generator must be a dict or None'),
    ('model.backbone.init_cfg.checkpoint=gone.pth',
     'model.backbone.init_cfg.checkpoint must be a file, but got gone.pth'),
    ('custom_hooks.0.priority=GONE', 'custom_hooks must .*GONE'),
])
def test_values_that_cannot_work(one_video, no_data, tmp_path, option,
                                 message):
    """Were refused after the videos were opened, or trained with."""
    with pytest.raises(ValueError, match=message):
        train.main([
            config_path('dora/vit-t16_demo.py'), '--work-dir',
            str(tmp_path / 'work'), '--cfg-options', one_video, option
        ])


@pytest.mark.parametrize(('content', 'reason'), [
    (b'a = = 3', 'SyntaxError: invalid syntax'),
    (b"_base_ = 'gone.py'", 'FileNotFoundError: .*gone.py'),
    (b"_base_ = 'own.py'", 'RecursionError'),
    (b'# \xe9', 'UnicodeDecodeError'),
    (b'a = 1 / 0', 'ZeroDivisionError'),
    (b'', 'config must have a model'),
])
def test_a_file_that_is_no_config_is_named(tmp_path, content, reason):
    path = tmp_path / 'own.py'
    path.write_bytes(content)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)  # each level of a base is read anew
    try:
        with pytest.raises(ValueError, match=reason) as error:
            train.main([str(path), '--work-dir', str(tmp_path / 'work')])
    finally:
        sys.setrecursionlimit(limit)
    assert str(path) in str(error.value)
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'work').exists()


def test_shipped_configs_have_no_near_misses_nor_odd_values():
    for name in list_configs():
        if name.startswith(('dora/', 'dino/', 'evaluation/')):
            merge_options(Config.fromfile(config_path(name)), None)


def test_work_dir_and_cfg_options_precedence(toy):
    in_file = ('--cfg-options', 'work_dir=from_options')
    assert merge(toy, '--work-dir', 'cli').work_dir == 'cli'
    assert merge(toy, '--work-dir', 'cli', *in_file).work_dir == 'from_options'


def test_cfg_options_types(toy):
    cfg = merge(toy, '--cfg-options', 'model.size=3', 'betas=0.9,0.99',
                'pairs=[(1,2),(3,4)]', 'train_cfg.max_epochs=5')
    assert cfg.model.size == 3
    assert cfg.betas == [0.9, 0.99]
    assert cfg.pairs == [(1, 2), (3, 4)]
    assert cfg.train_cfg == dict(by_epoch=True, max_epochs=5)


def test_amp(toy):
    wrapper = merge(toy, '--amp').optim_wrapper
    assert wrapper.type == 'AmpOptimWrapper'
    assert wrapper.loss_scale == 'dynamic'
    wrapper = merge(toy, '--amp', '--cfg-options',
                    'optim_wrapper.loss_scale=512.').optim_wrapper
    assert wrapper.loss_scale == 512.


def test_amp_refuses_to_drop_another_wrapper(toy):
    with pytest.raises(ValueError, match='for --amp, but got Apex'):
        merge(toy, '--amp', '--cfg-options',
              'optim_wrapper.type=ApexOptimWrapper')


def test_resume(toy, tmp_path):
    cfg = merge(toy, '--resume', '--cfg-options', 'load_from=other.pth')
    assert cfg.resume is True
    cfg = merge(toy, '--resume')
    assert cfg.resume is True and cfg.load_from is None
    (tmp_path / 'a.pth').touch()
    assert merge(toy, '--resume', 'a.pth').load_from == 'a.pth'
    assert merge(toy, '--resume', 's3://a/b.pth').load_from == 's3://a/b.pth'
    with pytest.raises(ValueError, match='--resume must .*got b.pth'):
        merge(toy, '--resume', 'b.pth')


def test_no_validate(toy):
    validation = ('--cfg-options', 'val_cfg.type=ValLoop',
                  'val_dataloader.batch_size=1',
                  'val_evaluator.type=DumpResults')
    assert merge(toy, *validation).val_dataloader.pin_memory is True
    # --cfg-options themselves would win, so the settings go into the file.
    merge(toy, *validation).dump('toy.py')
    cfg = merge(toy, '--no-validate')
    assert (cfg.val_cfg, cfg.val_dataloader, cfg.val_evaluator) == (None, ) * 3


def test_auto_scale_lr(toy):
    with pytest.raises(ValueError, match='base_batch_size .*--auto-scale-lr'):
        merge(toy, '--auto-scale-lr')
    cfg = merge(toy, '--auto-scale-lr', '--cfg-options',
                'auto_scale_lr.base_batch_size=16')
    assert cfg.auto_scale_lr == dict(base_batch_size=16, enable=True)


@pytest.mark.parametrize(('argv', 'message'), [
    (['no.py'], 'must be a file, but got no.py'),
    (['toy.py', '--launcher', 'pytorch'], 'dist_train.sh CONFIG GPUS'),
    (['toy.py', '--launcher', 'slurm'], 'must be pytorch .*got slurm'),
    (['toy.py', '--amp'], '--amp must have an accelerator'),
])
def test_mistakes_are_named(toy, monkeypatch, argv, message):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match=message):
        train.main(argv)


def test_train_scale_lr_and_resume(toy, tmp_path, recwarn):
    """w <- w + lr (3.5 - w): 0, 1.75, 2.625 with lr 0.5."""
    train.main([toy])
    # of memory that a GPU reads, where there is none
    assert not [w for w in recwarn if 'pin_memory' in str(w.message)]
    folder = tmp_path / 'work_dirs' / 'toy'
    first = torch.load(folder / 'epoch_1.pth', weights_only=False)
    assert first['state_dict']['weight'].item() == 1.75
    train.main([toy, '--resume', '--cfg-options', 'train_cfg.max_epochs=2'])
    second = torch.load(folder / 'epoch_2.pth', weights_only=False)
    assert second['state_dict']['weight'].item() == 2.625
    assert second['meta']['iter'] == 2
    # Counted as the line that follows, which is of the second epoch.
    log = max(folder.glob('*/*.log')).read_text()
    assert 'resume: Epoch [2][1/1] is next' in log
    assert 'Epoch(train) [2][1/1]' in log.split('is next')[1]
    # Batch 8 instead of 16: half the rate.
    train.main([
        toy, '--auto-scale-lr', '--work-dir', 'scaled', '--cfg-options',
        'auto_scale_lr.base_batch_size=16'
    ])
    scaled = torch.load(tmp_path / 'scaled/epoch_1.pth', weights_only=False)
    assert scaled['state_dict']['weight'].item() == 0.875


def dist_train(*args):
    """Run dist_train.sh on the CPU with the tests' interpreter."""
    path = os.pathsep.join(
        [os.getcwd(), str(Path(dora_mm.__file__).parents[1])])
    env = dict(
        os.environ,
        PYTHON=sys.executable,
        PYTHONPATH=path,
        CUDA_VISIBLE_DEVICES='-1',
        OMP_NUM_THREADS='1')
    # Set for this process, they would pass for a launcher's.
    for name in ('LOCAL_RANK', 'PORT', 'NNODES', 'NODE_RANK', 'MASTER_ADDR'):
        env.pop(name, None)
    return subprocess.run(
        ['bash', str(ROOT / 'tools' / 'dist_train.sh'), *args],
        env=env,
        capture_output=True,
        text=True)


@pytest.mark.parametrize('args', [(), ('toy.py', ), ('toy.py', '0'),
                                  ('toy.py', '--amp')])
def test_dist_train_usage(toy, args):
    done = dist_train(*args)
    assert done.returncode == 2
    assert 'CONFIG GPUS' in done.stderr


def test_gpu_configs_train_in_float32_on_a_cpu():
    """mmengine's AmpOptimWrapper refuses a CPU with an assertion."""
    train = load_train()
    cfg = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                loss_scale='dynamic',
                dtype='bfloat16',
                optimizer=dict(type='SGD', lr=0.5))))
    train.drop_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
