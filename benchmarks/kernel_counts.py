"""Kernels of what runs: launches, FLOPs, bytes read and written.

Of fake tensors, which have shapes and dtypes only, so on any machine. What
PyTorch runs as it is takes a kernel an operation, with the exceptions below.
What torch.compile optimises is fused by the model of ``fused_kernels.py``.
"""
import contextlib
from collections import namedtuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import (flop_registry, sdpa_backward_flop_count,
                                      sdpa_flop_count)

aten = torch.ops.aten

# float32: whether its products are of float32 numbers. Bytes are those of
# distinct elements, which a kernel reads once and writes once.
Kernel = namedtuple('Kernel', 'stage kind flops float32 read written')

ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu.default
ATTENTION_BACKWARD = (
    aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
_NO_KERNELS = ('_unsafe_view', '_reshape_alias', 'empty', 'empty_like',
               'empty_strided', 'new_empty', 'new_empty_strided',
               'lift_fresh')
_COPIES = ('_to_copy', 'copy_', 'clone', 'cat', 'stack')
_NORMS = ('native_layer_norm', 'native_layer_norm_backward')


def name_of(func):
    """``mm`` of ``aten::mm``."""
    return func._schema.name.partition('::')[2]


def is_view(func):
    """Whether an operation moves no data."""
    return func.is_view or name_of(func) in _NO_KERNELS


def num_bytes(tensor):
    """Bytes of the distinct elements: what is broadcast counts once."""
    count = tensor.element_size()
    for size, stride in zip(tensor.shape, tensor.stride()):
        count *= size if stride else min(size, 1)
    return count


def op_kernels(func, args, kwargs, out):
    """The kernels of one operation on CUDA, without a stage.

    Args:
        func (OpOverload): Of ATen.
        args, kwargs: Its arguments.
        out: What it returns.

    Returns:
        list[Kernel]: One in most cases, none of what only asks.
    """
    inputs, outputs = _tensors((args, kwargs)), _tensors(out)
    flops = _flops(func, args, kwargs, out)
    changed = _tensors([
        value for value, argument in zip(args, func._schema.arguments)
        if argument.alias_info and argument.alias_info.is_write
    ])
    read = {id(x): num_bytes(x) for x in inputs}
    only_written = _tensors(kwargs.get('out'))
    if name_of(func) in ('fill_', 'zero_', 'copy_'):
        only_written = changed[:1]
    for x in only_written:
        del read[id(x)]
    written = {id(x): num_bytes(x) for x in (*outputs, *changed)}
    if is_view(func) or not written:
        return []
    kernel = Kernel(None, _kind(func, flops), flops,
                    all(x.dtype == torch.float32 for x in inputs[:2]),
                    sum(read.values()), sum(written.values()))
    if name_of(func) == 'native_layer_norm_backward':
        # One for the tokens and one for the weights.
        return [kernel, kernel._replace(written=0)]
    if func is ATTENTION_BACKWARD:
        # FlashAttention-2: output times its gradient; the gradients, queries'
        # summed in float32; which are made zero before and cast afterwards.
        query, key = map(num_bytes, args[1:3])
        both = 2 * (query + key)
        parts = ((2 * query, 0, 0), (0, 2 * query, 0), (both, both, flops),
                 (2 * query, query, 0))
        return [
            kernel._replace(flops=products, read=reads, written=writes)
            for reads, writes, products in parts
        ]
    return [kernel]


def _tensors(tree):
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


def _flops(func, args, kwargs, out):
    """Of a product, or of the products of attention; else 0."""
    if func is ATTENTION:
        return sdpa_flop_count(*(x.shape for x in args[:3]))
    if func is ATTENTION_BACKWARD:
        return sdpa_backward_flop_count(*(x.shape for x in args[:4]))
    count = flop_registry.get(func._overloadpacket)
    return count(*args, **kwargs, out_val=out) if count else 0


def _kind(func, flops):
    """The line of the table that an operation belongs to."""
    name = name_of(func)
    if func in (ATTENTION, ATTENTION_BACKWARD):
        return 'attention'
    if flops:
        return 'products'
    if name in _NORMS:
        return 'norms'
    if name in _COPIES:
        return 'casts and copies'
    if name.startswith(('_foreach', '_fused')):
        return 'of parameters'
    return 'reductions' if torch.Tag.reduction in func.tags else 'elementwise'


class KernelCounter(TorchDispatchMode):
    """Lists the kernels of what runs inside.

    Attributes:
        kernels (list[Kernel]): In their order.
        paused (bool): Whether operations are not counted.
    """

    def __init__(self):
        super().__init__()
        self.kernels = []
        self.paused = False
        self._stage = 'rest'

    @contextlib.contextmanager
    def stage(self, name):
        """Name the kernels inside; the innermost name counts."""
        outer, self._stage = self._stage, name
        yield
        self._stage = outer

    def add(self, kernels):
        """Add kernels of the present stage."""
        self.kernels += [k._replace(stage=self._stage) for k in kernels]

    @classmethod
    def ignore_compile_internals(cls):
        """Let Dynamo work inside; compiled graphs are counted by themselves.
        """
        return True

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        if func is aten.logsumexp.default:
            with self:
                return _logsumexp(*args, **kwargs)
        out = func(*args, **kwargs)
        self.add(op_kernels(func, args, kwargs, out))
        return out


def _logsumexp(x, dims, keepdim=False):
    """As ATen runs it on CUDA."""
    largest = x.amax(dims, keepdim=True)
    largest = largest.masked_fill(largest.abs() == float('inf'), 0)
    total = (x - largest).exp().sum(dims, keepdim=True).log() + largest
    return total if keepdim else total.squeeze(dims)
