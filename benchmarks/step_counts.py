"""What a training step asks of a GPU, counted on any machine.

    python benchmarks/step_counts.py --batch 32
    python benchmarks/step_counts.py --batch 32 --set compile_layers=False
    python benchmarks/step_counts.py --measured

Graph breaks, graphs and recompilations as Dynamo counts them; launches, FLOPs
and bytes of a step in bf16 by stage and by kind, on tensors without data, so
that a step that waits for the device is an error; and how long the step would
take on a card with two rates, of products and of memory. In a kernel the two
add up, and each kernel starts a while after the one before has ended. The
host is left out. ``--measured`` compares with steps that were timed.
"""
import argparse
import functools
from collections import defaultdict
from unittest.mock import patch

import torch
from fused_kernels import fused_kernels
from kernel_counts import KernelCounter
from mmengine.config import DictAction
from step_tools import add_size_options, build_model, make_views
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from training_step import TrainingStep

from dora_mm.models.utils import chunked_logsumexp, float32_product

# Products in float32 against those in bf16, of NVIDIA's data sheets (H100
# SXM: 67 and 989 TFLOP/s, in TF32 495).
FLOAT32 = {False: 67 / 989, True: 495 / 989}
# TFLOP/s of a product of 8192^3 in bf16, TB/s of memory: docs/benchmarks.md.
CARDS = dict(H100=(759, 3.0), H200=(741, 4.3))
# Between kernels: of the last step but one, 131.6 ms, all kernels took 118 ms;
# 2462 launches are counted.
GAP = (131.6e-3 - 118e-3) / 2462
# Of those steps, whose patches were projected by cuDNN without tensor cores.
CONVOLUTIONS = 5.5e-3 / 32  # a clip
# Of the time of all kernels, where layers are not compiled.
NORMS = 0.11 + 0.09
_WAS = {'head.fused': False, 'backbone.recompute': False}
_EAGER = {**_WAS, 'compile_layers': False}
_BEFORE = {**_EAGER, 'backbone.bf16_tokens': False}
# docs/benchmarks.md: card, clips a step, TF32, settings, ms.
MEASURED = [
    ('H100', 32, False, {**_BEFORE, 'backbone.recompute': True}, 205.6),
    ('H100', 64, False, {**_BEFORE, 'backbone.recompute': True}, 382.7),
    ('H100', 32, False, _BEFORE, 192.2),
    ('H100', 32, True, _BEFORE, 188.0),
    ('H200', 32, True, _EAGER, 169.1),
    ('H200', 32, True, {**_WAS, 'backbone.bf16_tokens': False}, 138.8),
    ('H200', 32, True, _WAS, 131.6),
    ('H200', 32, False, {'backbone.recompute': False}, 109.8),
]


def count(args, model=None):
    """Count a step of our model.

    Args:
        args (argparse.Namespace): Sizes; ``set`` changes the model.
        model (DoRA, optional): Instead of the one that they describe.

    Returns:
        tuple: A dict of ``breaks``, ``graphs`` and ``recompilations``, and
        the list of kernels of the second step.
    """
    counter = KernelCounter()
    model = model or build_model(args, torch.device('cpu'), args.set)
    compiler = model.layer_compiler
    if compiler.setting is not False:
        compiler.setting = dict(backend=_counting_backend(counter))
    torch._dynamo.reset()
    counters.clear()
    # The branches of a GPU.
    if model.head.fused is None:
        model.head.fused = True
    with patch.dict(chunked_logsumexp._MAX_LOGITS, clear=True), patch.object(
            float32_product, '_has_tensor_cores', return_value=True), \
            FakeTensorMode() as mode:
        _forget_data(model, mode)
        step = TrainingStep(args, 'ours', torch.bfloat16, model)
        views = make_views(model, args.batch, args.frames, step.device)
        step.run(views)
        graphs = counters['stats']['unique_graphs']
        step.clock.stage = counter.stage
        counter.kernels.clear()
        with counter:
            step.run(views)
    stats = dict(
        breaks=sum(counters['graph_break'].values()),
        graphs=graphs,
        recompilations=counters['stats']['unique_graphs'] - graphs)
    return stats, counter.kernels


def _counting_backend(counter):
    """For torch.compile: Inductor's graphs, counted whenever they run."""
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.partitioners import \
        min_cut_rematerialization_partition
    from torch._inductor.decomposition import select_decomp_table

    def compiler(graph, inputs):
        kernels = fused_kernels(graph)

        def run(*args):
            counter.add(kernels)
            counter.paused = True
            try:
                return graph(*args)
            finally:
                counter.paused = False

        return run

    return aot_autograd(
        fw_compiler=compiler,
        bw_compiler=compiler,
        partition_fn=functools.partial(
            min_cut_rematerialization_partition, compiler='inductor'),
        decompositions=select_decomp_table())


def _forget_data(model, mode):
    """Replace parameters and buffers by fake ones."""
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = mode.from_tensor(tensor)


def seconds_of(kernels, products, memory, tf32):
    """How long kernels take at two rates.

    Args:
        kernels (list[Kernel]): Of a step.
        products (float): FLOP/s of products in bf16.
        memory (float): Bytes per second.
        tf32 (bool): Whether products in float32 may use TF32.

    Returns:
        float: Seconds.
    """
    return sum(
        k.flops / (products * (FLOAT32[tf32] if k.float32 else 1)) +
        (k.read + k.written) / memory for k in kernels)


def table(kernels, key, rates):
    """Lines of a table by stage or kind, with the sum of all."""
    groups = defaultdict(list)
    for kernel in kernels:
        groups[getattr(kernel, key)].append(kernel)
    rows = sorted(
        groups.items(), key=lambda item: -seconds_of(item[1], *rates))
    yield f'| {key} | launches | TFLOP | GB read | GB written | ms |'
    yield '|---|---:|---:|---:|---:|---:|'
    for name, group in [*rows, ('all', kernels)]:
        yield (f'| {name} | {len(group)} '
               f'| {sum(k.flops for k in group) / 1e12:.2f} '
               f'| {sum(k.read for k in group) / 1e9:.2f} '
               f'| {sum(k.written for k in group) / 1e9:.2f} '
               f'| {1e3 * seconds_of(group, *rates):.1f} |')


def compare_with_measured(args):
    """Lines of a table of predictions beside the times of steps that ran:
    by the two rates alone, and with what was measured besides."""
    counted = {}
    yield ('| card | clips | TF32 | settings | measured, ms | two rates, ms '
           '| | with what is known besides, ms | |')
    yield '|---|---|---|---|---:|---:|---:|---:|---:|'
    for card, batch, tf32, settings, time in MEASURED:
        key = batch, repr(settings)
        if key not in counted:
            sizes = dict(vars(args), batch=batch, set=settings)
            counted[key] = count(argparse.Namespace(**sizes))[1]
        kernels = counted[key]
        rates = (*(1e12 * rate for rate in CARDS[card]), tf32)
        seconds = seconds_of(kernels, *rates)
        known = seconds
        if settings.get('head.fused') is False:  # as before
            known += batch * CONVOLUTIONS
        if settings.get('compile_layers') is False:
            norms = [k for k in kernels if k.kind == 'norms']
            known = (known - seconds_of(norms, *rates)) / (1 - NORMS)
        known += len(kernels) * GAP
        settings = ' '.join(f'{k}={v}' for k, v in settings.items())
        cells = [card, batch, tf32, settings, time]
        for predicted in (1e3 * seconds, 1e3 * known):
            cells += [f'{predicted:.1f}', f'{predicted / time - 1:+.1%}']
        yield '| ' + ' | '.join(map(str, cells)) + ' |'


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add_size_options(parser)
    parser.add_argument(
        '--set',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the model, for instance: compile_layers=False')
    parser.add_argument('--card', choices=CARDS, default='H100')
    parser.add_argument('--tf32', action='store_true')
    parser.add_argument(
        '--measured',
        action='store_true',
        help='compare predictions with the steps that were timed')
    args = parser.parse_args()
    args.device = 'cpu'
    if args.measured:
        print(*compare_with_measured(args), sep='\n')
        return
    # A GPU with memory to spare keeps what a CPU computes again.
    args.set = {'backbone.recompute': False, **args.set}
    stats, kernels = count(args)
    print(*(f'{name}: {number}' for name, number in stats.items()), sep='\n')
    rates = (*(1e12 * rate for rate in CARDS[args.card]), args.tf32)
    for key in ('stage', 'kind'):
        print('', *table(kernels, key, rates), sep='\n')
    seconds = seconds_of(kernels, *rates) + len(kernels) * GAP
    print(f'\nwith {1e6 * GAP:.1f} us between kernels: '
          f'{1e3 * seconds:.1f} ms')


if __name__ == '__main__':
    main()
