from typing import Any, Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recompute(function: Callable[..., Any],
              *inputs: Tensor,
              random: bool = False) -> Any:
    """Call a function and keep nothing for the backward pass but its inputs.

    The backward pass runs the function again, up to the last tensor that it
    needs: of ``linear(norm(x))`` only ``norm(x)`` is computed again. So cheap
    operations cost their time, and no memory.

    Args:
        function (Callable): Of the inputs; a pure function, or its results
            differ in the second run.
        inputs (Tensor): Its arguments.
        random (bool): Whether it draws random numbers, which the second run
            must draw again. Defaults to False.

    Returns:
        Any: What the function returns.
    """
    # torch.compile decides by itself what to compute again, what is traced
    # would differ from one call to the next, and torch.func cannot do it.
    if not torch.is_grad_enabled() or (
            torch.compiler.is_compiling() or torch.jit.is_tracing()
            or torch._C._are_functorch_transforms_active()):
        return function(*inputs)
    return checkpoint(
        function, *inputs, use_reentrant=False, preserve_rng_state=random)
