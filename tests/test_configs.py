"""Each shipped recipe does a step, and its hooks and schedules exist."""
import inspect
import math

import pytest
import torch
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


@pytest.mark.parametrize('name', RECIPES)
def test_one_step(name):
    cfg = Config.fromfile(config_path(name))
    cfg.model.neck.out_channels = cfg.model.loss.out_channels = 64
    cfg.model.neck.hidden_channels = 32
    model = MODELS.build(cfg.model).train()
    clips = torch.randint(256, (1, 1, 3, 300, 300), dtype=torch.uint8)
    views = model.data_preprocessor(dict(inputs=clips), training=True)
    losses = model.loss(views['inputs'])
    total = sum(value for key, value in losses.items() if 'loss' in key)
    total.backward()
    assert math.isfinite(total.item())
    assert all(p.grad is not None for p in model.parameters()
               if p.requires_grad)


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
        assert clips == 8 * loader.batch_size
        assert cfg.optim_wrapper.optimizer.lr == 5e-4 * clips / 256


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
