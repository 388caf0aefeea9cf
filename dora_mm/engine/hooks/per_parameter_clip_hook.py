from typing import Any, Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from dora_mm.registry import HOOKS


@HOOKS.register_module()
class PerParameterClipHook(Hook):
    """Clip the gradient of each parameter by its own norm.

    As DINO and the authors' code do, where
    ``optim_wrapper=dict(clip_grad=dict(max_norm=...))`` clips the norm over
    all parameters. It runs right before the optimiser's step: after gradient
    accumulation, DDP's reduction and AMP's unscaling, once a step.

    Logs ``grad_norm``: the L2 norm over all parameters before clipping.

    Args:
        max_norm (float): Largest norm of a parameter's gradient, > 0.
            Defaults to 3.

    Raises:
        ValueError: If ``max_norm`` is not positive.
    """

    # Before FreezeLastLayerHook, so that grad_norm covers its parameters, and
    # before what logs the outputs of an iteration.
    priority = 'HIGHEST'

    def __init__(self, max_norm: float = 3.) -> None:
        if max_norm <= 0:
            raise ValueError(f'max_norm must be positive, but got {max_norm}: '
                             'leave the hook out to clip nothing')
        self.max_norm = max_norm
        self._grad_norm = None

    def before_train(self, runner: Runner) -> None:
        """Hook into the optimiser."""

        def clip(optimizer: torch.optim.Optimizer, args: Any,
                 kwargs: Any) -> None:
            self._grad_norm = self.clip(optimizer)

        runner.optim_wrapper.optimizer.register_step_pre_hook(clip)

    @torch.no_grad()
    def clip(self, optimizer: torch.optim.Optimizer) -> Tensor:
        """Clip in place, without waiting for the device.

        Args:
            optimizer (Optimizer): Its gradients are clipped.

        Returns:
            Tensor: Scalar, the norm of all gradients before clipping.
        """
        grads = [
            param.grad for group in optimizer.param_groups
            for param in group['params'] if param.grad is not None
        ]
        if not grads:
            return torch.zeros(())
        # A fused optimiser unscales in its kernel: gradients are still scaled.
        scale = getattr(optimizer, 'grad_scale', None)
        scale = 1. if scale is None else scale
        norms = torch.stack(torch._foreach_norm(grads))
        factors = (self.max_norm * scale / (norms + 1e-6)).clamp(max=1.)
        torch._foreach_mul_(grads, factors.unbind())
        return norms.norm() / scale

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Put the norm of the last step beside the losses."""
        if self._grad_norm is not None:
            outputs['grad_norm'] = self._grad_norm
            self._grad_norm = None
