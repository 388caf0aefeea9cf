from typing import Any, Callable, Generic, Optional, Sequence, TypeVar

import torch

from .layer_compiler import can_compile
from .warn_of_failure import warn_of_failure

Result = TypeVar('Result')


class FusedFunction(Generic[Result]):
    """A function whose operations run as a few kernels on CUDA.

    ``torch.compile`` makes them in the first call with tensors on CUDA, if
    Triton works. Where that fails a warning says so, once, and the operations
    run one by one, as they do on all other devices.

    Args:
        function (Callable): Of tensors, then numbers and strings, to a
            tensor or a tuple of tensors; it changes none of its arguments.
        varying (Sequence[int | None]): For each of the tensors, the dimension
            whose size differs from call to call, None if there is none.
    """

    def __init__(self, function: Callable[..., Result],
                 varying: Sequence[Optional[int]]) -> None:
        self.function = function
        self.varying = varying
        self._compiled: Optional[Callable[..., Result]] = None
        self._failed = False

    def __call__(self, *args: Any) -> Result:
        """Call the function.

        Args:
            *args: Its arguments.

        Returns:
            Tensor | Tuple[Tensor, ...]: What it returns.
        """
        if self._failed or not (args[0].is_cuda and can_compile()):
            return self.function(*args)
        if self._compiled is None:
            self._compiled = torch.compile(self.function, fullgraph=True)
        for tensor, dim in zip(args, self.varying):
            if dim is not None:
                torch._dynamo.maybe_mark_dynamic(tensor, dim)
        try:
            return self._compiled(*args)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a compiler may raise anything
            self._failed = True
            warn_of_failure(
                f'torch.compile of {self.function.__name__}', error,
                'its operations run one by one. TORCH_COMPILE_DISABLE=1 does '
                'not try')
            return self.function(*args)
