"""What is known of the settings of a config: who reads them, and as what."""
import inspect
import sys
from inspect import Parameter
from typing import (Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple,
                    Union)

from mmengine.registry import (DATA_SAMPLERS, DATASETS, FUNCTIONS, HOOKS,
                               LOG_PROCESSORS, LOOPS, METRICS, MODEL_WRAPPERS,
                               MODELS, OPTIM_WRAPPER_CONSTRUCTORS,
                               OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS,
                               RUNNERS, TRANSFORMS, VISBACKENDS, VISUALIZERS,
                               Registry)
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch import Generator
from torch.utils.data import DataLoader

Arguments = Mapping[str, Parameter]


class Setting(NamedTuple):
    """A key and a value of a config, and what is known of it.

    Attributes:
        path (str): Of the dict that it is in: '' or dotted keys, with a dot at
            the end.
        key (str): In that dict.
        value (Any): Plain data.
        known (dict): Arguments that the dict is read as, by name; empty for
            one of which nothing is known.
        registry (Registry, optional): What builds the dict, or holds what the
            value names.
    """
    path: str
    key: str
    value: Any
    known: Arguments
    registry: Optional[Registry]


# What a dict under a key is built by; a dict below inherits that.
REGISTRIES = dict(
    model=MODELS,
    backbone=MODELS,
    neck=MODELS,
    head=MODELS,
    loss=MODELS,
    data_preprocessor=MODELS,
    default_hooks=HOOKS,
    custom_hooks=HOOKS,
    mask=TRANSFORMS,
    dataset=DATASETS,
    sampler=DATA_SAMPLERS,
    batch_sampler=DATA_SAMPLERS,
    collate_fn=FUNCTIONS,
    pipeline=TRANSFORMS,
    optim_wrapper=OPTIM_WRAPPERS,
    optimizer=OPTIMIZERS,
    param_scheduler=PARAM_SCHEDULERS,
    train_cfg=LOOPS,
    val_cfg=LOOPS,
    test_cfg=LOOPS,
    val_evaluator=METRICS,
    test_evaluator=METRICS,
    model_wrapper_cfg=MODEL_WRAPPERS,
    log_processor=LOG_PROCESSORS,
    visualizer=VISUALIZERS,
    vis_backends=VISBACKENDS)
# Keys with the name of what is built, and what holds it.
NAMES = dict(constructor=OPTIM_WRAPPER_CONSTRUCTORS, runner_type=RUNNERS)


def _signature(function: Any) -> Dict[str, Parameter]:
    """Arguments by name; an annotation that is written as text is read."""
    found = dict(inspect.signature(function).parameters)
    names = vars(sys.modules[getattr(function, '__module__', 'builtins')])
    for name, argument in found.items():
        if isinstance(argument.annotation, str):
            try:
                kind = eval(argument.annotation, names)
            except Exception:  # of a name that only a type checker knows
                kind = Parameter.empty
            found[name] = argument.replace(annotation=kind)
    if hasattr(function, '__wrapped__'):
        # mmengine's decorator that takes the names of before
        names = inspect.getclosurevars(function).nonlocals
        found.update((old, found[new])
                     for old, new in names.get('name_dict', {}).items()
                     if new in found)
    return found


def _named(**kinds: Any) -> Dict[str, Parameter]:
    return {
        name: Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind)
        for name, kind in kinds.items()
    }


_LOADER = {
    **_signature(DataLoader),
    **_named(num_batch_per_epoch=int, generator=Optional[Generator])
}
# All that is read of a config as a whole; the rest are its variables. Without
# hooks a run has no guards, and its teacher stays as it was.
RUNNER = {
    **_signature(Runner),
    **_named(
        default_hooks=dict,
        custom_hooks=list,
        custom_imports=dict,
        runner_type=str,
        activation_checkpointing=Optional[list],
        efficient_conv_bn_eval=Optional[list],
        compile=Union[dict, bool],
        model_wrapper_cfg=Optional[dict],
        find_unused_parameters=bool)
}
# What the Runner reads of dicts that have no type.
_FIXED = {
    'train_dataloader': _LOADER,
    'val_dataloader': _LOADER,
    'test_dataloader': _LOADER,
    'env_cfg': _named(
        cudnn_benchmark=bool, mp_cfg=dict, dist_cfg=dict, resource_limit=int),
    'env_cfg.mp_cfg': _signature(set_multi_processing),
    'auto_scale_lr': _named(enable=bool, base_batch_size=int),
    'randomness': _named(
        seed=Optional[int], deterministic=bool, diff_rank_seed=bool)
}
# What mmengine takes out first, and what goes with --amp.
_SPECIAL = dict.fromkeys(('type', '_scope_', '_delete_'))
_OF_WRAPPERS = {
    **_named(
        constructor=str, paramwise_cfg=Optional[dict], dtype=Optional[str]),
    'loss_scale': None
}
_OF_SCHEDULERS = _named(convert_to_iter_based=bool)
# What the constructors of mmengine and the hosts ask of theirs; others may
# ask more.
_MULTS = _named(lr_mult=float, decay_mult=float)
_PARAMWISE = _named(
    custom_keys=dict,
    bias_lr_mult=float,
    bias_decay_mult=float,
    norm_decay_mult=float,
    flat_decay_mult=float,
    dwconv_decay_mult=float,
    dcn_offset_lr_mult=float,
    bypass_duplicate=bool,
    num_layers=int,
    decay_rate=float,
    decay_type=str,
    layer_decay_rate=float)
_HOOKS = _named(
    **dict.fromkeys(('runtime_info', 'timer', 'sampler_seed', 'logger',
                     'param_scheduler', 'checkpoint'), Optional[dict]))


def dotted(part: Any, path: str = '') -> Iterator[Tuple[str, Any]]:
    """Dotted key and value of all that is in a config.

    Args:
        part (Any): The config as plain data, or a part of it.
        path (str): Where it is.

    Yields:
        tuple: Key, value: dicts and lists as well as what is in them.
    """
    if path:
        yield path[:-1], part
    if isinstance(part, (list, tuple)):
        part = {str(number): item for number, item in enumerate(part)}
    for key, item in part.items() if isinstance(part, dict) else ():
        yield from dotted(item, f'{path}{key}.')


def walk_settings(part: Any,
                  path: str = '',
                  registry: Optional[Registry] = None) -> Iterator[Setting]:
    """Each setting of dicts of which it is known what is read.

    Args:
        part (Any): A config as plain data, or a part of one.
        path (str): Where it is: '' or dotted keys, with a dot at the end.
        registry (Registry, optional): Builds dicts of ``part``.

    Yields:
        Setting: The dict's before those of dicts in it. Of variables of a
        config nothing but the name: what is made of them has another place.
    """
    if isinstance(part, (list, tuple)):
        for number, item in enumerate(part):
            yield from walk_settings(item, f'{path}{number}.', registry)
    if not isinstance(part, dict):
        return
    known = known_arguments(path, part, registry)[0]
    for key, item in part.items():
        below = REGISTRIES.get(key, registry)
        if known or registry and key == 'type':
            yield Setting(path, key, item, known, NAMES.get(key, registry))
        if path or key in RUNNER:
            yield from walk_settings(item, f'{path}{key}.', below)


def known_arguments(path: str, part: dict,
                    registry: Optional[Registry]) -> Tuple[Arguments, bool]:
    """What is read of a dict of a config.

    Args:
        path (str): Where it is: '' or dotted keys, with a dot at the end.
        part (dict): The dict, as plain data.
        registry (Registry, optional): Builds it.

    Returns:
        tuple: Arguments by name, empty if nothing is known of them; whether
        these are all.
    """
    if not path:
        return RUNNER, True
    section = path[:-1]
    if section in _FIXED:
        return _FIXED[section], True
    if section == 'default_hooks':
        return _HOOKS, False
    if section == 'optim_wrapper.paramwise_cfg':
        return _PARAMWISE, False
    if section.startswith('optim_wrapper.paramwise_cfg.custom_keys.'):
        return _MULTS, False
    found = registry and 'type' in part and _arguments(part['type'], registry)
    return found or ({}, False)


def _arguments(name: Any,
               registry: Registry) -> Optional[Tuple[Arguments, bool]]:
    try:
        built = registry.get(name) if isinstance(name, str) else name
        classes = inspect.getmro(built)
    except Exception:  # not there, or a function: building it will tell
        return None
    known = dict(_SPECIAL)
    if registry is OPTIM_WRAPPERS:
        known.update(_OF_WRAPPERS)
    elif registry is PARAM_SCHEDULERS:
        known.update(_OF_SCHEDULERS)
    for cls in classes:
        if '__init__' in vars(cls):
            given = _signature(cls.__init__)
            known = {**given, **known}
            if Parameter.VAR_KEYWORD not in {
                    item.kind for item in given.values()}:
                return known, True
    return known, False
