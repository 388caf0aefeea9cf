"""Whether a checkpoint fits a run: what differs, and what that means."""
import re
from typing import Any, Dict, List, NamedTuple, Set, Tuple

import torch
from mmengine.runner import Runner

from .find_non_finite import find_non_finite
from .unwrap_model import unwrap_model


class Difference(NamedTuple):
    """A setting of the run that is not what the checkpoint was saved with.

    Attributes:
        key (str): Dotted key of the config.
        saved (object): Its value in the checkpoint.
        present (object): Its value in the run that resumes.
    """
    key: str
    saved: Any
    present: Any

    def __str__(self) -> str:
        return f'{self.key}: saved {self.saved}, present {self.present}'


# What a difference means; the first pattern that matches counts.
FREE, FOLLOWED, PLANNED, REFUSED = 'free', 'followed', 'planned', 'refused'
_MEANINGS = (
    # Nothing that is learnt depends on it.
    (r'train_dataloader\.(num_workers|persistent_workers|pin_memory|timeout|'
     r'prefetch_factor|collate_fn)', FREE),
    # Compared by content.
    (r'train_dataloader\.dataset\.(video|data_root|images|root)$', FREE),
    (r'train_dataloader\.dataset\.max_replacements$', FREE),
    # Compared by shapes.
    (r'model\.(neck\.in_channels|loss\.out_channels)$', FREE),
    (r'model\.(compile_layers|head\.fused)|optim_wrapper\.optimizer\.fused',
     FREE),
    (r'train_cfg\.(val_|dynamic)', FREE),
    # The run's own value is used from here on.
    (r'custom_hooks\.|optim_wrapper\.(type|loss_scale|dtype|clip_grad)',
     FOLLOWED),
    # Another parameter group or state.
    (r'optim_wrapper\.(optimizer\.type|constructor|paramwise_cfg)', REFUSED),
    # Iterations and schedules are those of another plan.
    (r'optim_wrapper\.|param_scheduler|auto_scale_lr|world_size$|'
     r'train_cfg\.max_epochs$|'
     r'train_dataloader\.(batch_size|drop_last|sampler)',
     PLANNED),
    (r'', REFUSED),
)


def compare_settings(
        saved: Dict[str, Any],
        present: Dict[str, Any]) -> Dict[str, List[Difference]]:
    """Compare the settings of two runs.

    Args:
        saved (dict): See :func:`run_facts`.
        present (dict): Of the run that resumes.

    Returns:
        dict[str, list[Difference]]: The differences by their meaning.
    """
    found: Dict[str, List[Difference]] = {
        meaning: []
        for meaning in (FREE, FOLLOWED, PLANNED, REFUSED)
    }
    for key in dict.fromkeys([*saved, *present]):
        difference = Difference(key, saved.get(key, 'nothing'),
                                present.get(key, 'nothing'))
        if difference.saved != difference.present:
            meaning = next(m for pattern, m in _MEANINGS
                           if re.match(pattern, key))
            found[meaning].append(difference)
    return found


def misfits(runner: Runner, checkpoint: dict) -> List[Difference]:
    """Compare keys and shapes of weights and of the optimiser's state.

    Args:
        runner (Runner): The run that resumes.
        checkpoint (dict): Of a runner.

    Returns:
        list[Difference]: What cannot be loaded as it is.
    """
    state = checkpoint.get('state_dict')
    if not isinstance(state, dict):
        return [Difference('state_dict', 'nothing', 'the weights of the run')]
    found = [
        Difference(f'state_dict.{key}', shapes[0], shapes[1])
        for key, shapes in _shapes(
            {re.sub(r'^module\.', '', key): value
             for key, value in state.items()},
            unwrap_model(runner.model).state_dict()).items()
        if shapes[0] != shapes[1]
    ]
    for key in ('iter', 'epoch'):
        value = (checkpoint.get('meta') or {}).get(key)
        if not isinstance(value, int) or value < 0:
            found.append(Difference(f'meta.{key}', value, 'a number'))
    if not isinstance(checkpoint.get('message_hub'), dict):
        found.append(Difference('message_hub', 'nothing', 'a log'))
    found += _optimizer_misfits(runner, checkpoint.get('optimizer'))
    schedulers = runner.param_schedulers or []
    saved = checkpoint.get('param_schedulers') or []
    if isinstance(schedulers, list) and (
            not isinstance(saved, list)
            or not all(isinstance(item, dict) for item in saved)):
        found.append(Difference('param_schedulers', type(saved).__name__,
                                'a list of schedules'))
    found += [
        Difference(name, 'not finite', 'finite numbers')
        for name in find_non_finite(checkpoint)
    ]
    return found


def _describe(value: Any) -> Any:
    return tuple(value.shape) if isinstance(
        value, torch.Tensor) else type(value).__name__


def _shapes(saved: dict, present: dict) -> Dict[str, Tuple[Any, Any]]:
    return {
        key: (_describe(saved[key]) if key in saved else 'nothing',
              _describe(present[key]) if key in present else 'nothing')
        for key in dict.fromkeys([*saved, *present])
    }


def _optimizer_misfits(runner: Runner, state: Any) -> List[Difference]:
    groups = runner.optim_wrapper.optimizer.param_groups
    present = [len(group['params']) for group in groups]
    try:
        saved = [group['params'] for group in state['param_groups']]
        moments = state['state'].items()
        numbers = [len(params) for params in saved]
    except (TypeError, KeyError, AttributeError):
        return [Difference('optimizer', 'nothing', 'the state of a step')]
    if numbers != present:
        return [
            Difference('optimizer, parameters of its groups', numbers, present)
        ]
    params = dict(
        zip((index for group in saved for index in group),
            (param for group in groups for param in group['params'])))
    found = [
        Difference(f'optimizer.state.*.{name}', 'of several kinds', 'of one')
        for name, kinds in _kinds(state['state']).items() if len(kinds) > 1
    ]
    if len({tuple(entries) for _, entries in moments}) > 1:
        found.append(
            Difference('optimizer.state', 'not the same of each parameter',
                       'the same'))
    for index, entries in moments:
        for name, value in entries.items():
            if isinstance(value, torch.Tensor) and value.ndim == 0:
                continue
            shape = _describe(params[index]) if index in params else 'nothing'
            if _describe(value) != shape and not isinstance(
                    value, (int, float, type(None))):
                found.append(
                    Difference(f'optimizer.state.{index}.{name}',
                               _describe(value), shape))
    return found


def _kinds(state: dict) -> Dict[str, Set[type]]:
    kinds: Dict[str, Set[type]] = {}
    for entries in state.values():
        for name, value in entries.items():
            kinds.setdefault(name, set()).add(type(value))
    return kinds


# How a step is computed, not what it gives.
_SPEED = {'foreach', 'fused', 'capturable', 'differentiable'}
# What schedules count, or follow a measure by.
_MOVING = {
    'last_step', '_global_step', '_last_value', 'best', 'num_bad_epochs',
    'cooldown_counter'
}


def follow_constants(runner: Runner, checkpoint: dict) -> List[Difference]:
    """Compare what does not change in a run: of optimiser and schedules.

    Args:
        runner (Runner): The run that resumes, with the settings of the saved
            one.
        checkpoint (dict): Without :func:`misfits`. What has no effect on
            numbers, or is missing, becomes that of the run, in place.

    Returns:
        list[Difference]: Constants that are others, which is damage.
    """
    wrapper, state = runner.optim_wrapper, checkpoint['optimizer']
    schedulers = runner.param_schedulers or []
    moving = {'lr', 'weight_decay', 'initial_lr'}
    for scheduler in schedulers:
        moving |= {scheduler.param_name, f'initial_{scheduler.param_name}'}
    if 'momentum' in moving:  # the first of Adam's betas
        moving |= {'betas', 'initial_betas'}
    pairs = {
        f'optimizer.param_groups.{number}': pair
        for number, pair in enumerate(
            zip(state['param_groups'], wrapper.optimizer.param_groups))
    }
    base = wrapper.base_param_settings
    if base is not None:
        saved = state.get('base_param_settings')
        pairs['optimizer.base_param_settings'] = (saved, base)
        if isinstance(saved, dict):
            saved['params'] = base['params']  # a stand-in
    found = []
    for name, (saved, present) in pairs.items():
        found += _follow(name, saved, present, moving)
    schedules = checkpoint.get('param_schedulers') or []
    if len(schedules) != len(schedulers):
        found.append(
            Difference('param_schedulers', f'{len(schedules)} schedules',
                       len(schedulers)))
    for number, (saved, scheduler) in enumerate(zip(schedules, schedulers)):
        found += _follow(f'param_schedulers.{number}', saved,
                         scheduler.state_dict(), _MOVING)
    return found


def _follow(name: str, saved: Any, present: dict,
            moving: Set[str]) -> List[Difference]:
    if not isinstance(saved, dict):
        return [Difference(name, type(saved).__name__, 'dict')]
    found = []
    for key, value in present.items():
        kept = saved.get(key, 'nothing')
        if key == 'params':  # compared by misfits
            continue
        if key in moving:
            differs = type(kept) is not type(value)
        else:
            differs = key in saved and key not in _SPEED and (
                type(kept) is not type(value) or kept != value)
            saved[key] = value
        if differs:
            found.append(Difference(f'{name}.{key}', kept, value))
    items = {key: saved[key] for key in present if key in saved}
    saved.clear()
    saved.update(items)
    return found
