import math
from typing import List, Union

from mmengine.optim import BaseOptimWrapper, _ParamScheduler
from torch.optim import Optimizer

from dora_mm.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineScheduler(_ParamScheduler):
    """DINO's schedule: linear from 0, then a cosine to the final value.

    For both learning rate and weight decay, in closed form: a resumed run
    continues exactly, and the value of step i does not depend on rounding in
    the steps before. A group whose base value is 0 stays at 0, so parameters
    without weight decay get none (mmengine's cosine would raise them, too).

    The warm-up reaches the base value in its last step (numpy's
    ``linspace(0, base, warmup)``), as in the authors' ``cosine_scheduler``.

    Args:
        optimizer (Optimizer or OptimWrapper): Wrapped optimiser.
        param_name (str): 'lr' or 'weight_decay'.
        final_value (float): Value that the last step comes close to.
        warmup (int): Epochs, or iterations with ``by_epoch=False``. Defaults
            to 0.
        end (int): Length of the whole schedule in the same unit; the runner
            fills in its own length.
        by_epoch (bool): Unit of ``warmup`` and ``end``. Defaults to True;
            add ``convert_to_iter_based=True`` to step every iteration.
        **kwargs: ``begin``, ``last_step``, ``verbose`` of mmengine.

    Raises:
        ValueError: If ``warmup`` is not in [0, end).
    """

    def __init__(self,
                 optimizer: Union[Optimizer, BaseOptimWrapper],
                 param_name: str,
                 final_value: float,
                 end: int,
                 warmup: int = 0,
                 **kwargs) -> None:
        begin = kwargs.get('begin', 0)
        _check(param_name, warmup, end - begin)
        self.final_value = final_value
        self.warmup = warmup
        super().__init__(optimizer, param_name, end=end, **kwargs)

    @classmethod
    def build_iter_from_epoch(cls,
                              *args,
                              end: int,
                              epoch_length: int,
                              warmup: int = 0,
                              begin: int = 0,
                              by_epoch: bool = True,
                              **kwargs) -> 'WarmupCosineScheduler':
        """The same schedule, in iterations (``convert_to_iter_based``)."""
        if not by_epoch:
            raise ValueError('by_epoch must be True, but got False: leave '
                             'convert_to_iter_based out')
        _check(kwargs.get('param_name', 'this'), warmup, end - begin)
        return cls(
            *args,
            end=end * epoch_length,
            warmup=warmup * epoch_length,
            begin=begin * epoch_length,
            by_epoch=False,
            **kwargs)

    def _get_value(self) -> List[float]:
        """The value of every parameter group in step ``last_step``."""
        return [self._value(base) for base in self.base_values]

    def _value(self, base: float) -> float:
        if base == 0:
            return 0.
        if self.last_step < self.warmup:
            return base * self.last_step / max(self.warmup - 1, 1)
        progress = (self.last_step - self.warmup) / (
            self.end - self.begin - self.warmup)
        return self.final_value + (base - self.final_value) * (
            1 + math.cos(math.pi * progress)) / 2


def _check(name: str, warmup: int, length: int) -> None:
    if not 0 <= warmup < length:
        raise ValueError(
            f'warmup of the schedule of {name} must be at least 0 and less '
            f'than its length, {length}, but got {warmup}: train longer, by '
            'train_cfg.max_epochs, or lower param_scheduler.N.warmup, N from '
            '0')
