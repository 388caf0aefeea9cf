"""Registries of dora_mm, scope ``dora_mm``.

Their parents are mmengine's root registries, so ``type='dora_mm.DoRA'``
resolves from any OpenMMLab package's ``default_scope``: a lookup imports this
file by itself and then the modules in ``locations``.
"""
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOG_PROCESSORS as MMENGINE_LOG_PROCESSORS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODEL_WRAPPERS as MMENGINE_MODEL_WRAPPERS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import \
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import PARAM_SCHEDULERS as MMENGINE_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='dora_mm',
    locations=['dora_mm.models'])
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='dora_mm',
    locations=['dora_mm.datasets'])
# The multi-object mask needs the teacher's attention, so it is built by the
# model and lives in datasets.transforms like any other transform.
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='dora_mm',
    locations=['dora_mm.datasets.transforms'])
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='dora_mm',
    locations=['dora_mm.datasets.samplers'])
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
LOG_PROCESSORS = Registry(
    'log processor',
    parent=MMENGINE_LOG_PROCESSORS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
LOOPS = Registry(
    'loop',
    parent=MMENGINE_LOOPS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope='dora_mm',
    locations=['dora_mm.evaluation'])
MODEL_WRAPPERS = Registry(
    'model wrapper',
    parent=MMENGINE_MODEL_WRAPPERS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
PARAM_SCHEDULERS = Registry(
    'parameter scheduler',
    parent=MMENGINE_PARAM_SCHEDULERS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
OPTIM_WRAPPERS = Registry(
    'optim wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
# Nothing of ours is in these: mmengine warns where one is missing and a config
# inherits by _base_ = 'dora_mm::...'.
VISUALIZERS = Registry(
    'visualizer',
    parent=MMENGINE_VISUALIZERS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
VISBACKENDS = Registry(
    'vis_backend',
    parent=MMENGINE_VISBACKENDS,
    scope='dora_mm',
    locations=['dora_mm.engine'])
