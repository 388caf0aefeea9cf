from typing import Optional

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from ..step_log_processor import add_step_scalar, logging_interval


@HOOKS.register_module()
class LateRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's hook, without waiting for the device at every iteration.

    The stock hook turns each loss into a number right after the step, so the
    device idles until the host has prepared the next one. This hook keeps the
    tensors and reads them at once, as one tensor, when the ``LoggerHook``
    writes a line and at the end of an epoch. The log has the same numbers;
    between two readings it lags behind.
    """

    def __init__(self) -> None:
        self._unread = []

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Keep what the model returned, and read if it is time.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Number of the batch in the epoch.
            data_batch (dict, optional): Not used.
            outputs (dict, optional): Scalars, tensors or numbers.
        """
        for name, value in (outputs or {}).items():
            self._unread.append((name, torch.as_tensor(value).detach()))
        if self.every_n_inner_iters(batch_idx, logging_interval(runner)) or \
                self.end_of_epoch(runner.train_dataloader, batch_idx):
            self._read(runner)

    def _read(self, runner: Runner) -> None:
        if not self._unread:
            return
        names, values = zip(*self._unread)
        self._unread = []
        device = values[0].device
        numbers = torch.stack([v.to(device, torch.float64) for v in values])
        for name, number in zip(names, numbers.tolist()):
            add_step_scalar(runner, name, number)
