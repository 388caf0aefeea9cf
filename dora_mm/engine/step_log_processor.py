import re
from typing import Tuple

from mmengine.hooks import LoggerHook
from mmengine.runner import LogProcessor, Runner

from dora_mm.registry import LOG_PROCESSORS

_NAMES = 'step_scalars'


def logging_interval(runner: Runner) -> int:
    """Iterations from one line of the log to the next.

    Args:
        runner (Runner): With its hooks.

    Returns:
        int: ``interval`` of its ``LoggerHook``, mmengine's 10 without one.
    """
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            return hook.interval
    return 10


def add_step_scalar(runner: Runner, name: str, value: float) -> None:
    """Log a number that varies from step to step.

    Args:
        runner (Runner): The runner.
        name (str): Of the number, without ``train/``.
        value (float): In this iteration.
    """
    hub = runner.message_hub
    hub.update_scalar(f'train/{name}', value)
    names = hub.get_info(_NAMES, [])
    if name not in names:
        hub.update_info(_NAMES, [*names, name])


@LOG_PROCESSORS.register_module()
class StepLogProcessor(LogProcessor):
    """A log whose window is the interval of the ``LoggerHook``.

    What :func:`add_step_scalar` was told of and times are logged as means
    over the window; other numbers (rates, momentum, counts) as they are.

    Args:
        num_digits (int): Digits behind the point. Defaults to 4.
        log_with_hierarchy (bool): Keep ``train/`` in the names. Defaults to
            False.
    """

    def __init__(self,
                 num_digits: int = 4,
                 log_with_hierarchy: bool = False) -> None:
        super().__init__(
            num_digits=num_digits, log_with_hierarchy=log_with_hierarchy)

    def get_log_after_iter(self, runner: Runner, batch_idx: int,
                           mode: str) -> Tuple[dict, str]:
        """See mmengine's ``LogProcessor``."""
        self.window_size = logging_interval(runner)
        names = [
            'time', 'data_time', *runner.message_hub.get_info(_NAMES, [])
        ]
        names = '|'.join(map(re.escape, names))
        self.mean_pattern = re.compile(f'(^|/)({names})$')
        return super().get_log_after_iter(runner, batch_idx, mode)
