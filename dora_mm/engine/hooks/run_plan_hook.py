import logging
import warnings
from typing import List, NamedTuple

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from dora_mm.utils.counted import counted
from ..checkpoint_fit import (FOLLOWED, PLANNED, REFUSED, Difference,
                              compare_settings, follow_constants, misfits)
from ..run_facts import run_facts
from ..unwrap_model import unwrap_model
from .teacher_ema_hook import TeacherEMAHook

_SHOWN = 12


class _Place(NamedTuple):
    """Where in its epoch a run goes on."""
    epoch: int
    done: int  # iterations of the epoch
    repeated: int  # clips of the epoch that come twice


@HOOKS.register_module()
class RunPlanHook(Hook):
    """Resume only what fits, and let schedules follow the run that is.

    A checkpoint gets what the run's numbers depend on: settings, number of
    processes, length of an epoch, and name, size and a hash of each video.
    Before anything of a checkpoint is loaded to resume, all of it is compared
    with the run that resumes, with keys and shapes. What is equal resumes
    exactly. Another number of epochs, rate, schedule, batch, number of
    processes or accumulation is converted: the run goes on behind the clips
    that were seen, all schedules at that place of the new plan, and the log
    says so. All else is refused.

    With ``auto_scale_lr`` the end of the learning rate's schedule is scaled as
    its base, so that the curve keeps its shape.
    """

    def before_run(self, runner: Runner) -> None:
        """Scale the end of the learning rate's schedule.

        Warns of a teacher that no hook moves, as where a config's own list
        of hooks has taken the place of the recipe's.

        Args:
            runner (Runner): With schedulers built.
        """
        if hasattr(unwrap_model(runner.model), 'update_teacher') and not any(
                isinstance(hook, TeacherEMAHook) for hook in runner.hooks):
            print_log(
                'custom_hooks has no TeacherEMAHook: the teacher stays as it '
                'is. Keep those of the recipe by custom_hooks = '
                '[*_base_.custom_hooks, ...].',
                logger='current',
                level=logging.WARNING)
        scale = runner.auto_scale_lr or {}
        if not scale.get('enable') or runner.param_schedulers is None:
            return
        ratio = runner.world_size * runner.train_dataloader.batch_size / scale[
            'base_batch_size']
        for scheduler in runner.param_schedulers:
            for name in ('final_value', 'eta_min'):
                if scheduler.param_name == 'lr' and getattr(
                        scheduler, name, None) is not None:
                    setattr(scheduler, name, getattr(scheduler, name) * ratio)

    def before_train(self, runner: Runner) -> None:
        """Collect what is saved with each checkpoint.

        Args:
            runner (Runner): The runner.
        """
        self._facts = run_facts(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what a run that resumes is compared with.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Gets ``meta['run']``.
        """
        if hasattr(self, '_facts'):
            checkpoint['meta']['run'] = self._facts

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare and convert, before anything is loaded.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Changed in place where the plan differs.

        Raises:
            ValueError: If the checkpoint does not fit the run.
        """
        if not runner.cfg.get('resume') or not isinstance(
                runner.optim_wrapper, OptimWrapper):
            return
        wrong = misfits(runner, checkpoint)
        if wrong:
            _refuse(runner, wrong)
        saved = checkpoint['meta'].get('run')
        if not isinstance(saved, dict):
            _say('the checkpoint does not say what it was trained with: only '
                 'its keys and shapes were compared')
            return
        present = run_facts(runner)
        found = compare_settings(saved['settings'], present['settings'])
        planned = found[PLANNED]
        place = _find_place(checkpoint['meta'], saved, present)
        wrong = found[REFUSED] + _data_misfits(saved, present, place)
        epochs = runner.max_epochs
        if place.epoch + (place.done > 0) > epochs:
            wrong.append(
                Difference('epochs', f'{place.epoch} and more trained',
                           f'train_cfg.max_epochs {epochs}'))
        if wrong:
            _refuse(runner, wrong)
        for difference in found[FOLLOWED] + planned:
            _say(f'{difference}; the present one is followed')
        if planned or saved['epoch_iters'] != present['epoch_iters']:
            _convert(runner, checkpoint, place, present['epoch_iters'])
            _warn_of_order(runner, planned, place)
        else:
            wrong = follow_constants(runner, checkpoint)
            if wrong:
                _refuse(runner, wrong)
            if not hasattr(runner.optim_wrapper, 'loss_scaler'):
                checkpoint['optimizer'].pop('loss_scaler', None)
        if 'dataset_meta' in checkpoint['meta']:  # the same data elsewhere
            checkpoint['meta']['dataset_meta'] = getattr(
                runner.train_dataloader.dataset, 'metainfo', None)


def _say(text: str) -> None:
    print_log(f'resume: {text}', logger='current', level=logging.WARNING)


def _refuse(runner: Runner, wrong: List[Difference]) -> None:
    lines = [f'  {difference}' for difference in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        lines.append(f'  and {len(wrong) - _SHOWN} more')
    raise ValueError(
        f'the checkpoint {runner.cfg.get("load_from")} must fit the run that '
        'resumes, but got\n' + '\n'.join(lines) +
        '\nresume with the saved settings, or start a new run from its '
        'weights with load_from and without --resume')


def _find_place(meta: dict, saved: dict, present: dict) -> _Place:
    """The place in the new plan by the clips that were seen."""
    per_step = [
        facts['settings']['world_size'] *
        facts['settings']['train_dataloader.batch_size']
        for facts in (saved, present)
    ]
    epoch, length = meta['epoch'], present['epoch_iters']
    done = meta['iter'] - epoch * saved['epoch_iters']
    if done == saved['epoch_iters']:
        return _Place(epoch, length, 0)
    seen = done * per_step[0]
    done = min(seen // per_step[1], length)
    # Gradients that would be summed with those of a lost iteration.
    counts = present['settings'].get('optim_wrapper.accumulative_counts', 1)
    behind = (epoch * length + done) % counts
    if saved['settings'] != present['settings'] and behind <= done < length:
        done -= behind
    return _Place(epoch, done, seen - done * per_step[1])


def _data_misfits(saved: dict, present: dict,
                  place: _Place) -> List[Difference]:
    before, now = ([tuple(video) for video in facts['videos']]
                   for facts in (saved, present))
    if sorted(before) != sorted(now):
        gone = [v for v in before if v not in now]
        new = [v for v in now if v not in before]
        return [
            Difference('videos (name, bytes, hash)', gone or 'all of these',
                       new or 'fewer of them')
        ]
    if before != now and 0 < place.done < present['epoch_iters']:
        return [
            Difference('order of the videos inside an epoch',
                       [v[0] for v in before], [v[0] for v in now])
        ]
    if saved['epoch_clips'] != present['epoch_clips']:
        return [
            Difference('clips of an epoch', saved['epoch_clips'],
                       present['epoch_clips'])
        ]
    return []


def _convert(runner: Runner, checkpoint: dict, place: _Place,
             length: int) -> None:
    """Put the new plan's values at ``place`` into the checkpoint."""
    meta, state = checkpoint['meta'], checkpoint['optimizer']
    step = place.epoch * length + place.done
    _say(f'iteration {meta["iter"]} of the saved plan is iteration {step} of '
         'the present one, by the clips seen; '
         f'{counted(place.repeated, "clip")} of this epoch will come again')
    meta['iter'] = step
    wrapper = runner.optim_wrapper
    with warnings.catch_warnings():  # the optimiser need not step
        warnings.simplefilter('ignore')
        for scheduler in runner.param_schedulers or ():
            for _ in range(place.epoch if scheduler.by_epoch else step):
                scheduler.step()
    for saved, group in zip(state['param_groups'],
                            wrapper.optimizer.param_groups):
        params = saved['params']
        saved.clear()
        saved.update(group, params=params)
    if wrapper.base_param_settings is not None:
        state['base_param_settings'] = wrapper.base_param_settings
    if not hasattr(wrapper, 'loss_scaler'):
        state.pop('loss_scaler', None)
    checkpoint['param_schedulers'] = [
        scheduler.state_dict() for scheduler in runner.param_schedulers or ()
    ]


def _warn_of_order(runner: Runner, planned: List[Difference],
                   place: _Place) -> None:
    keys = [difference.key for difference in planned]
    # That of blocks depends on batch and processes.
    sampler = type(runner.train_dataloader.sampler).__name__
    if place.done and (any('.sampler.' in key for key in keys) or
                       (sampler == 'BlockClipSampler'
                        and 'world_size' in keys)):
        _say('the sampler has another order: some clips of this epoch may '
             'come twice and others not')
