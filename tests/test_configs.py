"""Each shipped recipe does a step, and its hooks and schedules exist."""
import inspect
import math
import runpy

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.registry import HOOKS, LOOPS, PARAM_SCHEDULERS, DefaultScope

from dora_mm.registry import (DATA_SAMPLERS, DATASETS, METRICS, MODELS,
                              TRANSFORMS)
from dora_mm.utils.shipped_configs import config_path, list_configs

RECIPES = [
    name for name in list_configs() if name.startswith(('dora/', 'dino/'))
]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def test_there_are_recipes():
    assert {
        'dora/vit-s16_wt.py', 'dora/vit-s16_wt_released.py',
        'dora/vit-b16_wt.py', 'dora/vit-t16_demo.py', 'dino/vit-s16_wt.py'
    } <= set(RECIPES)


def make_tiny(cfg):
    """Another network and smaller views; the method stays the config's."""
    cfg.model.backbone.arch = dict(
        embed_dims=48, num_layers=2, num_heads=6, feedforward_channels=96)
    cfg.model.backbone.img_size = 64
    cfg.model.neck.update(
        in_channels=48,
        hidden_channels=32,
        bottleneck_channels=16,
        out_channels=64)
    cfg.model.loss.out_channels = 64
    views = cfg.model.data_preprocessor
    views.global_views.size, views.local_views.size = 64, 32
    return cfg


@pytest.mark.parametrize('name', RECIPES)
def test_one_step(name):
    """The parts fit each other, and a tiny model of the method learns."""
    cfg = Config.fromfile(config_path(name))
    with torch.device('meta'):
        MODELS.build(cfg.model)
    frames = min(cfg.train_dataloader.dataset.get('clip_len', 1), 2)
    model = MODELS.build(make_tiny(cfg).model).train()
    clips = torch.randint(256, (2, frames, 3, 80, 80), dtype=torch.uint8)
    views = model.data_preprocessor(dict(inputs=clips), training=True)
    losses = model.loss(views['inputs'])
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert math.isfinite(total.item())
    assert all(p.grad is not None for p in model.parameters()
               if p.requires_grad)


def merged(name, *options):
    """The config that ``tools/train.py`` makes of --cfg-options."""
    train = runpy.run_path(str(ROOT / 'tools/train.py'))
    path = config_path(name)
    args = train['parse_args']([path, '--cfg-options', *options])
    return train['merge_args'](Config.fromfile(path), args)


VIEWS = 'model.data_preprocessor.'
ONE_PLACE = {
    'K': ('model.head.num_objects=2', lambda model: model.head.num_objects, 2),
    'P': ('model.neck.out_channels=512', lambda model:
          (model.neck.last_layer.weight.shape[0], model.loss_module.center.
           shape[-1], model.teacher['neck'].out_channels), (512, ) * 3),
    'D':
    ('model.backbone.arch=deit-tiny', lambda model:
     (model.backbone.embed_dims, model.neck.mlp[0].in_features), (192, ) * 2),
    'L': (f'{VIEWS}local_views.num=3',
          lambda model: model.data_preprocessor.local_views.num, 3),
    'local crop': (f'{VIEWS}local_views.size=96',
                   lambda model: model.data_preprocessor.local_views.size, 96),
    'global crop':
    (f'{VIEWS}global_views.size=192',
     lambda model: model.data_preprocessor.global_views.size, 192),
}


@pytest.mark.parametrize('name', ['dora/vit-s16_wt', 'dora/vit-b16_wt'])
@pytest.mark.parametrize('number', ONE_PLACE)
def test_a_number_is_changed_in_one_place(number, name):
    """R7: "16x192 and 384x2048" at the first step, or two keys to set."""
    option, read, expected = ONE_PLACE[number]
    with torch.device('meta'):
        model = MODELS.build(merged(name, option).model)
    assert read(model) == expected


def test_all_numbers_changed_at_once_do_a_step():
    """K, T, P, D, L and both crops, each by its one key."""
    frames = 3
    cfg = merged('dora/vit-s16_wt', 'model.head.num_objects=2',
                 f'train_dataloader.dataset.clip_len={frames}',
                 'model.neck.out_channels=64', 'model.neck.hidden_channels=32',
                 'model.backbone.arch=deit-tiny', f'{VIEWS}local_views.num=1',
                 f'{VIEWS}local_views.size=32', f'{VIEWS}global_views.size=64')
    assert cfg.train_dataloader.dataset.clip_len == frames
    model = MODELS.build(cfg.model).train()
    clips = torch.randint(256, (1, frames, 3, 80, 80), dtype=torch.uint8)
    inputs = model.data_preprocessor(dict(inputs=clips), training=True)
    losses = model.loss(inputs['inputs'])
    assert inputs['inputs']['local_clips'].shape == (1, 1, frames, 3, 32, 32)
    assert losses['loss_object'].isfinite() and losses['loss_local'].isfinite()


def test_a_shorter_run_names_the_keys():
    """Ten epochs of warm-up do not fit into five."""
    cfg = merged('dora/vit-s16_wt', 'train_cfg.max_epochs=5')
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    scheduler = dict(cfg.param_scheduler[0], end=cfg.train_cfg.max_epochs)
    build = PARAM_SCHEDULERS.get(scheduler.pop('type')).build_iter_from_epoch
    scheduler.pop('convert_to_iter_based')
    with pytest.raises(ValueError, match='of lr .* length, 5, but got 10: '
                       'train longer, by train_cfg.max_epochs, or lower '
                       'param_scheduler.N.warmup'):
        build(optimizer, epoch_length=7, **scheduler)
    cfg = merged('dora/vit-s16_wt', 'train_cfg.max_epochs=5',
                 'param_scheduler.0.warmup=1')
    assert build(
        optimizer,
        epoch_length=7,
        **dict(scheduler, warmup=cfg.param_scheduler[0].warmup)).warmup == 7


READING = dict(
    track_layer=-1,
    patch_feature='final',
    normalize_tokens=True,
    plan_mass='patch',
    refine=True,
    epsilon=0.05,
    num_iters=30,
    mode='map',
    num=2)
ABLATIONS = dict(
    second_last_layer=dict(
        track_layer=-2,
        patch_feature='attention',
        normalize_tokens=False,
        plan_mass='unit'),
    literal_eq4=dict(normalize_tokens=False, plan_mass='unit'),
    small_epsilon=dict(epsilon=0.005, num_iters=100),
    soft_masks=dict(mode='soft'),
    one_global_view=dict(num=1),
    no_sinkhorn=dict(refine=False))


@pytest.mark.parametrize(
    'name', [n for n in RECIPES if 'dora/' in n and 's16' in n])
def test_configs_write_their_reading_out(name):
    """So a config that was saved beside a run tells it."""
    model = Config.fromfile(config_path(name)).model
    views = model.data_preprocessor.global_views
    found = {**model, **model.head, **model.mask, **views}
    ablation = name.rpartition('vit-s16_wt')[2][1:-3].replace('-', '_')
    changes = ABLATIONS.get(ablation, {})
    if ablation == 'released':
        changes = dict(mode='batch', num=1)
    assert {key: found[key] for key in READING} == {**READING, **changes}


@pytest.mark.parametrize('name', RECIPES)
def test_the_rest_resolves(name):
    cfg = Config.fromfile(config_path(name))
    loader = cfg.train_dataloader
    parts = [(LOOPS, cfg.train_cfg), (DATASETS, loader.dataset),
             (DATA_SAMPLERS, loader.sampler)]
    parts += [(HOOKS, hook) for hook in cfg.custom_hooks]
    parts += [(PARAM_SCHEDULERS, part) for part in cfg.param_scheduler]
    parts += [(TRANSFORMS, part) for part in loader.dataset.pipeline]
    for registry, part in parts:
        assert registry.get(part.type) is not None, part.type
    # The learning rate belongs to the batch size that it is scaled from.
    clips = cfg.auto_scale_lr.base_batch_size
    assert clips % loader.batch_size == 0
    if 'demo' not in name:
        # That of 48 clips of 8 frames, however they are cut.
        gpus = 1 if name.endswith(('_1gpu.py', '_night.py')) else 8
        assert clips == gpus * loader.batch_size
        assert clips * loader.dataset.get('clip_len', 1) == 48 * 8
        assert cfg.optim_wrapper.optimizer.lr == 5e-4 * 48 / 256


def test_a_night_is_a_short_run_of_the_same_schedules():
    """Warm-ups take as large a share of it, to half an epoch."""
    whole = Config.fromfile(config_path('dora/vit-s16_wt_1gpu.py'))
    night = Config.fromfile(config_path('dora/vit-s16_wt_night.py'))
    share = night.train_cfg.max_epochs / whole.train_cfg.max_epochs

    def warm_ups(cfg):
        hook, = (hook for hook in cfg.custom_hooks
                 if hook.type == 'dora_mm.TeacherTempHook')
        return cfg.param_scheduler[0].warmup, hook.warmup_epochs

    for short, long in zip(warm_ups(night), warm_ups(whole)):
        assert abs(short - share * long) <= 0.5
    assert night.optim_wrapper == whole.optim_wrapper
    assert night.train_dataloader.dataset.start_stride == 6


def test_released_recipe_is_the_authors_learning_rate():
    cfg = Config.fromfile(config_path('dora/vit-s16_wt_released.py'))
    assert cfg.optim_wrapper.optimizer.lr == 5e-4 * 48 / 256
    assert cfg.train_dataloader.batch_size * 8 == 48
    assert cfg.train_dataloader.dataset.frame_stride == 60
    assert cfg.model.data_preprocessor.global_views.num == 1


EVALUATIONS = [
    name for name in list_configs()
    if name.startswith('evaluation/') and '_base_' not in name
]


@pytest.mark.parametrize('name', EVALUATIONS)
def test_evaluations_resolve(name):
    """Those whose data we do not have are not run by any test."""
    cfg = Config.fromfile(config_path(name))
    loaders = [cfg.test_dataloader]
    if 'memory_dataloader' in cfg.test_cfg:
        loaders.append(cfg.test_cfg.memory_dataloader)
    parts = [(MODELS, cfg.model), (MODELS, cfg.model.backbone),
             (METRICS, cfg.test_evaluator), (LOOPS, cfg.test_cfg)]
    for loader in loaders:
        parts.append((DATASETS, loader.dataset))
        parts += [(TRANSFORMS, part)
                  for part in loader.dataset.get('pipeline', [])]
    for registry, part in parts:
        assert registry.get(part.type) is not None, part.type
        kind = registry.get(part.type)
        names = inspect.signature(kind).parameters
        given = set(part) - {'type'}
        if not any(p.kind is p.VAR_KEYWORD for p in names.values()):
            # what the runner and tools/test.py add comes on top
            assert given <= set(names), (part.type, given - set(names))
    # one memory and one set of queries, of the same pictures
    assert len({str(loader.dataset.root) for loader in loaders}) == 1
