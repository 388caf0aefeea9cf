from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from ..unwrap_model import unwrap_model


@HOOKS.register_module()
class TeacherTempHook(Hook):
    """Warm the teacher's temperature up, linearly over the first epochs.

    The value of an epoch is ``linspace(start, end, warmup_epochs)[epoch]``,
    then ``end``, as in DINO. The released DoRA recipe goes from 0.04 to 0.04.

    Args:
        end (float): Temperature after the warm-up, > 0.
        start (float): Temperature of the first epoch, > 0.
        warmup_epochs (int): Length of the warm-up, >= 0.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, end: float, start: float, warmup_epochs: int) -> None:
        if min(start, end) <= 0 or warmup_epochs < 0:
            raise ValueError(
                'start and end must be positive and warmup_epochs at least 0, '
                f'but got start={start}, end={end}, '
                f'warmup_epochs={warmup_epochs}: the paper has 0.04 for both')
        self.start = start
        self.end = end
        self.warmup_epochs = warmup_epochs

    def temp_at(self, epoch: int) -> float:
        """The temperature of 0-based ``epoch``."""
        if epoch >= self.warmup_epochs:
            return self.end
        progress = epoch / max(self.warmup_epochs - 1, 1)
        return self.start + (self.end - self.start) * progress

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the temperature of this epoch."""
        model = unwrap_model(runner.model)
        model.set_teacher_temp(self.temp_at(runner.epoch))
