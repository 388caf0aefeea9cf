import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.dist import all_gather_object, all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from dora_mm.registry import HOOKS
from dora_mm.utils.write_json import write_json
from ..find_non_finite import find_non_finite
from ..step_log_processor import logging_interval
from ..unwrap_model import unwrap_model

_NEVER = torch.iinfo(torch.int64).max
# What comes first in an iteration.
_ORDER = ('loss', 'buffer', 'gradient', 'weight')


@HOOKS.register_module()
class FiniteHook(Hook):
    """Stop a run before a number that is not finite gets into a checkpoint.

    In each iteration it looks at what the model returned, at the gradients
    that the optimiser takes (a loss scaler leaves out others), at the weights
    that are trained and at the buffers, the loss's centre among them. The
    first bad iteration of each is kept on the device, so no step waits for it;
    the numbers are read with the lines of the log and before a checkpoint is
    written, of which all numbers are looked at.

    A run that is stopped leaves ``non_finite.json`` in its work folder: what
    was first, the seed, and path, start frame and seed of each clip of that
    iteration, by rank. ``tools/replay.py`` repeats the iterations since the
    last checkpoint.
    """

    # After the teacher has moved, before a checkpoint is saved.
    priority = 'LOW'

    def before_train(self, runner: Runner) -> None:
        """Hook into the optimiser.

        Args:
            runner (Runner): The runner.
        """
        model = unwrap_model(runner.model)
        # The teacher is a mean of them, and is looked at before it is saved.
        self._weights = _names_and_tensors(
            (name, param) for name, param in model.named_parameters()
            if param.requires_grad)
        self._buffers = _names_and_tensors(model.named_buffers())
        names = {id(p): name for name, p in model.named_parameters()}
        self._first: Dict[Tuple[str, Tuple[str, ...]], Tensor] = {}
        self._clips: Dict[int, List[dict]] = {}

        def look(optimizer: torch.optim.Optimizer, args: Any,
                 kwargs: Any) -> None:
            grads = {
                names.get(id(param), 'unnamed'): param.grad
                for group in optimizer.param_groups
                for param in group['params'] if param.grad is not None
            }
            # A fused optimiser skips the step in its kernel.
            skipped = getattr(optimizer, 'found_inf', None)
            self._note('gradient', tuple(grads), list(grads.values()),
                       runner.iter, skipped)

        runner.optim_wrapper.optimizer.register_step_pre_hook(look)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Look, and read what was seen if it is time.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Number of the batch in the epoch.
            data_batch (dict, optional): With a list of ``data_samples``.
            outputs (dict, optional): Scalars, tensors or numbers.

        Raises:
            RuntimeError: If a number is not finite.
        """
        samples = (data_batch or {}).get('data_samples') or []
        self._clips[runner.iter] = [_origin(sample) for sample in samples]
        losses = {
            name: value.detach().float().reshape(1)
            for name, value in (outputs or {}).items()
            if isinstance(value, Tensor) and value.numel() == 1
        }
        for kind, names, tensors in (('loss', tuple(losses),
                                      list(losses.values())),
                                     ('buffer', *self._buffers),
                                     ('weight', *self._weights)):
            self._note(kind, names, tensors, runner.iter)
        if self.every_n_inner_iters(batch_idx, logging_interval(runner)) or \
                self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._read(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save what is not finite; on the main process.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): What is about to be written.

        Raises:
            RuntimeError: If a number in it is not finite.
        """
        if hasattr(self, '_first'):
            self._read(runner, together=False)
        bad = find_non_finite(checkpoint)
        if bad:
            raise RuntimeError(
                f'{bad[0]} and {len(bad) - 1} more tensors of the run are not '
                f'finite after iteration {runner.iter + 1}: the checkpoint is '
                'not written; resume from the last one with a lower rate')

    @torch.no_grad()
    def _note(self,
              kind: str,
              names: Tuple[str, ...],
              tensors: Sequence[Tensor],
              step: int,
              skipped: Optional[Tensor] = None) -> None:
        if not names:
            return
        fine = _are_finite(tensors)
        if skipped is not None:
            fine = fine | (skipped.reshape(1) > 0)
        first = self._first.get((kind, names))
        if first is None:
            first = torch.full_like(fine, _NEVER, dtype=torch.int64)
        self._first[kind, names] = torch.where(fine, first,
                                               first.clamp(max=step))

    def _read(self, runner: Runner, together: bool = True) -> None:
        """Raise if anything was bad; ``together`` asks all ranks."""
        origins = [(_ORDER.index(kind), name) for kind, names in self._first
                   for name in names]
        firsts = list(self._first.values())
        if firsts:  # in one tensor: the host waits for the device once
            device = firsts[0].device
            firsts = torch.cat([x.to(device) for x in firsts]).tolist()
        found = [(step, *origin) for origin, step in zip(origins, firsts)
                 if step != _NEVER]
        clips, self._clips = self._clips, {}
        step = torch.tensor(min(found, default=(_NEVER, ))[0])
        if together:
            all_reduce(step, op='min')
        step = int(step)
        if step == _NEVER:
            return
        first = [(_ORDER[order], name) for at, order, name in sorted(found)
                 if at == step]
        report = dict(first=first, clips=clips.get(step, []))
        reports = all_gather_object(report) if together else [report]
        first = next(r['first'] for r in reports if r['first'])
        path = Path(runner.work_dir) / 'non_finite.json'
        if is_main_process():
            write_json(
                path,
                dict(
                    iteration=step,
                    seed=runner.seed,
                    first=[f'{kind} {name}' for kind, name in first],
                    clips=[r['clips'] for r in reports]))
        kind, name = first[0]
        raise RuntimeError(
            f'{kind} {name} is not finite in iteration {step + 1}, the first '
            f'of {len(first)} numbers: the run stops before they are saved. '
            f'{path} names the clips; run python tools/replay.py '
            f'{runner.work_dir} to see the layer, or resume from the last '
            'checkpoint with a lower rate')


def _are_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Whether each tensor is finite: bool, as many as there are."""
    if tensors[0].is_cuda:  # in few launches
        # The norm of maxima cannot overflow where the numbers do not.
        return torch.stack(torch._foreach_norm(tensors, math.inf)).isfinite()
    # A CPU needs a sixth of the time of the norm.
    return torch.stack(
        [torch.stack(x.aminmax()).isfinite().all() for x in tensors])


def _names_and_tensors(
    named: Iterator[Tuple[str, Tensor]]
) -> Tuple[Tuple[str, ...], List[Tensor]]:
    pairs = [(name, tensor) for name, tensor in named
             if tensor.is_floating_point() and tensor.numel()]
    return tuple(name for name, _ in pairs), [tensor for _, tensor in pairs]


def _origin(sample: Any) -> dict:
    """What finds a clip again."""
    return {
        name: sample.get(name)
        for name in ('video_path', 'start_frame', 'seed')
        if sample.get(name) is not None
    }
