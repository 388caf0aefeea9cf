import time
from contextlib import contextmanager
from typing import Any, Iterator, Union

import torch
import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from torch.utils._triton import has_triton

from .warn_of_failure import warn_of_failure

# Before torch 2.6 both had other names.
_LIMIT = 'recompile_limit'
if not hasattr(torch._dynamo.config, _LIMIT):
    _LIMIT = 'cache_size_limit'
_LIMIT_HIT = getattr(torch._dynamo.exc, 'FailOnRecompileLimitHit',
                     TorchDynamoException)
# Graphs of a run: those of teacher, objects and local views, each of all
# tokens and of [CLS], as often as the batch changes its size.
_MAX_GRAPHS = 64


class LayerCompiler:
    """Runs encoder layers through ``torch.compile`` in training steps.

    One function is compiled for all layers of student and teacher. Its graphs
    are as many as there are kinds of calls, not as there are layers. Whatever
    runs outside of a step, evaluation for one, is not compiled.

    Whether to compile is decided in the first step, when the device is known.
    If compiling fails, a warning says so, once, and layers run as they are.

    Args:
        setting (bool | dict, optional): True or False; None compiles on CUDA
            where Triton works; a dict has arguments of ``torch.compile``.
            Defaults to None.

    Raises:
        TypeError: If the setting is none of these.
        ValueError: If ``torch.compile`` does not take the arguments.
    """

    def __init__(self, setting: Union[None, bool, dict] = None) -> None:
        if not (setting is None or isinstance(setting, (bool, dict))):
            raise TypeError(
                'compile_layers must be None, True, False or a dict of '
                f'arguments of torch.compile, but got {setting!r}: leave it '
                'out to compile on CUDA only')
        if isinstance(setting, dict):
            try:
                torch.compile(call_layer, **setting)
            except Exception as error:
                raise ValueError(
                    'compile_layers must be arguments of torch.compile, but '
                    f'got {setting} ({error}): correct them') from error
        self.setting = setting
        self._compiled = None
        self._kinds = set()  # of calls that were compiled
        self._seconds = 0.

    @contextmanager
    def step(self, device: torch.device, *backbones: nn.Module) -> Iterator:
        """A training step, in which layers of the backbones run compiled.

        Args:
            device (torch.device): Of the step.
            backbones (DoRAViT): They call their layers by ``call_layer``.
        """
        if self.setting is None or torch._dynamo.config.disable:
            self.setting = device.type == 'cuda' and can_compile()
        if self.setting is False:
            yield
            return
        if self._compiled is None:
            settings = {} if self.setting is True else self.setting
            self._compiled = torch.compile(
                call_layer, **{
                    'fullgraph': True,
                    'dynamic': False,
                    **settings
                })
        known = len(self._kinds)
        for backbone in backbones:
            backbone.call_layer = self
        try:
            # DistributedDataParallel overlaps between layers; within one
            # there is nothing to split.
            with torch._dynamo.config.patch(
                    optimize_ddp=False,
                    # Else torch 2.4 makes a graph for each layer.
                    inline_inbuilt_nn_modules=True,
                    **{_LIMIT: _MAX_GRAPHS}):
                yield
        finally:
            for backbone in backbones:
                del backbone.call_layer
        if len(self._kinds) > known and self.setting is not False:
            print_log(
                f'Compiled the encoder layers: {len(self._kinds)} kinds of '
                f'calls, {self._seconds:.1f} s.', 'current')

    def __call__(self, method: str, layer: nn.Module, x: Tensor,
                 *args: Any) -> Any:
        """Call a method of a layer.

        Args:
            method (str): Its name.
            layer (LeanEncoderLayer): The layer.
            x (Tensor): Tokens (B, S, D).
            args: ``cls_only``, ``key_mask`` and ``paths`` of the layer.

        Returns:
            Any: What the method returns.
        """
        if self.setting is False:
            return call_layer(method, layer, x, *args)
        cls_only, key_mask, paths = args
        length = x.shape[1]
        if key_mask is not None:
            length = None  # of the longest sequence in the batch
            for tensor in (x, key_mask):
                torch._dynamo.maybe_mark_dynamic(tensor, 1)
        kind = (method, len(x), length, x.dtype, cls_only, paths is None,
                torch.is_grad_enabled())
        if kind not in self._kinds:
            self._compile(method, layer, x, *args)
            self._kinds.add(kind)
        try:
            if self.setting is not False:
                return self._compiled(method, layer, x, *args)
        except (TorchDynamoException, _LIMIT_HIT) as error:
            self._give_up(error)
        return call_layer(method, layer, x, *args)

    def _compile(self, method: str, layer: nn.Module, x: Tensor,
                 *args: Any) -> None:
        """Compile a kind of call, backward pass included: where it fails
        here, nothing depends on it yet."""
        if not self._kinds:
            print_log(
                'Compiling the encoder layers (compile_layers): the first '
                'step takes longer.', 'current')
        start = time.perf_counter()
        # Activation checkpointing must not count what this call keeps, nor
        # random numbers what it draws: a run that goes on compiles anew.
        with torch.autograd.graph.saved_tensors_hooks(_same, _same), (
                torch.random.fork_rng([x.device] if x.is_cuda else [])):
            try:
                out = self._compiled(method, layer, x, *args)
                inputs = [
                    t for t in (x, *layer.parameters()) if t.requires_grad
                ]
                if torch.is_grad_enabled() and inputs:
                    torch.autograd.grad(out.sum(), inputs[0])
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a compiler may raise anything
                self._give_up(error)
        self._seconds += time.perf_counter() - start

    def _give_up(self, error: Exception) -> None:
        """Run layers as they are from now on, and say why."""
        self.setting = False
        warn_of_failure(
            'torch.compile', error, 'training goes on without it. '
            'model.compile_layers=False does not try')


def call_layer(method: str, layer: nn.Module, *args: Any) -> Any:
    """Call a method of a layer by its name; ``forward`` with its hooks."""
    if method == 'forward':
        return layer(*args)
    return getattr(layer, method)(*args)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def can_compile() -> bool:
    """Whether Triton is there and knows the GPU, and may be used."""
    # TORCH_COMPILE_DISABLE=1 has torch.compile return what it is given.
    return has_triton() and not torch._dynamo.config.disable
