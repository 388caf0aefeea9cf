import math
from typing import Optional

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from ..unwrap_model import unwrap_model


@HOOKS.register_module()
class TeacherEMAHook(Hook):
    """Move the teacher after each step of the optimiser.

    The momentum goes from ``momentum`` to ``end_momentum`` by a cosine over
    all iterations. Under gradient accumulation the teacher moves only when
    the student has.

    Unlike mmengine's EMA, momentum is the TEACHER's share, as in the paper.

    Args:
        momentum (float): First value, in [0, 1]. Defaults to 0.996.
        end_momentum (float): Last value, in [0, 1]. Defaults to 1.

    Raises:
        ValueError: If a momentum is not in [0, 1].
    """

    def __init__(self,
                 momentum: float = 0.996,
                 end_momentum: float = 1.) -> None:
        for name, value in (('momentum', momentum), ('end_momentum',
                                                     end_momentum)):
            if not 0 <= value <= 1:
                raise ValueError(
                    f'{name} must be in [0, 1], but got {value}: give the '
                    "teacher's share, 0.996 in the paper")
        self.momentum = momentum
        self.end_momentum = end_momentum

    def momentum_at(self, step: int, num_steps: int) -> float:
        """The momentum of 0-based iteration ``step``."""
        cosine = (1 + math.cos(math.pi * step / num_steps)) / 2
        return self.end_momentum + (self.momentum - self.end_momentum) * cosine

    def start_share(self,
                    num_iters: int,
                    max_iters: int,
                    accumulation: int = 1) -> float:
        """The share of its random start that the teacher still has.

        Args:
            num_iters (int): Iterations done.
            max_iters (int): Iterations of the whole run.
            accumulation (int): Iterations from one update of the teacher to
                the next. Defaults to 1.

        Returns:
            float: The product of all momenta so far, in [0, 1].
        """
        steps = range(accumulation - 1, num_iters, accumulation)
        return math.prod(self.momentum_at(step, max_iters) for step in steps)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Update the teacher if the optimiser has stepped."""
        if not runner.optim_wrapper.should_update():
            return
        model = unwrap_model(runner.model)
        momentum = self.momentum_at(runner.iter, runner.max_iters)
        model.update_teacher(momentum)
        runner.message_hub.update_scalar('train/momentum', momentum)
