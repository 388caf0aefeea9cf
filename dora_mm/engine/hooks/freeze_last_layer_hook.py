from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.optim import Optimizer

from dora_mm.registry import HOOKS
from ..unwrap_model import unwrap_model


@HOOKS.register_module()
class FreezeLastLayerHook(Hook):
    """Keep the last layer of the neck fixed in the first epochs.

    Its gradient is dropped right before the optimiser's step, so that neither
    moments nor step count nor weight decay touch it (a learning rate of 0
    would let the moments run). That works with any optim wrapper, gradient
    accumulation and DDP, whose reducer must see the parameter from the start.

    Args:
        num_epochs (int): Epochs to freeze, >= 0. Defaults to 1.

    Raises:
        ValueError: If ``num_epochs`` is negative.
    """

    def __init__(self, num_epochs: int = 1) -> None:
        if num_epochs < 0:
            raise ValueError('num_epochs must be at least 0, but got '
                             f'{num_epochs}: give 0 to freeze nothing')
        self.num_epochs = num_epochs

    def before_train(self, runner: Runner) -> None:
        """Hook into the optimiser."""
        model = unwrap_model(runner.model)

        def drop_gradients(optimizer: Optimizer, args: Any,
                           kwargs: Any) -> None:
            if runner.epoch < self.num_epochs:
                for param in model.last_layer_parameters():
                    param.grad = None

        runner.optim_wrapper.optimizer.register_step_pre_hook(drop_gradients)
