"""What a training step asks of a GPU, counted on any machine.

    python benchmarks/step_counts.py --batch 32
    python benchmarks/step_counts.py --batch 32 --set compile_layers=False
    python benchmarks/step_counts.py --measured

Graph breaks, graphs and recompilations as Dynamo counts them; launches, FLOPs
and bytes of a step in bf16 by stage and by kind, on tensors without data, so
that a step that waits for the device is an error; and how long the step would
take on a card with two rates, of products and of memory. In a kernel the two
add up, and each kernel starts when the one before has ended: the host and
what a launch costs are left out. ``--measured`` compares with steps that
were timed.
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
_BEFORE = {'backbone.bf16_tokens': False, 'compile_layers': False}
_PLAIN = {'backbone.recompute': False, 'compile_layers': False}
_COMPILED = {'backbone.recompute': False}
# docs/benchmarks.md: card, clips a step, TF32, settings, ms.
MEASURED = [
    ('H100', 32, False, {**_BEFORE, 'backbone.recompute': True}, 205.6),
    ('H100', 64, False, {**_BEFORE, 'backbone.recompute': True}, 382.7),
    ('H100', 32, False, {**_BEFORE, **_PLAIN}, 192.2),
    ('H100', 32, True, {**_BEFORE, **_PLAIN}, 188.0),
    ('H200', 32, True, _PLAIN, 169.1),
    ('H200', 32, True, {**_COMPILED, 'backbone.bf16_tokens': False}, 138.8),
    ('H200', 32, True, _COMPILED, 131.6),
]
REFERENCE = 2  # whose time tells how much of the rate of memory is reached


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
    """Lines of a table of predictions beside the times of steps that ran.

    The second prediction takes the rate of memory that kernels reach from one
    of those times, as a share of the rate of a copy.
    """
    parts, counted = [], {}
    for card, batch, tf32, settings, _ in MEASURED:
        key = batch, repr(settings)
        if key not in counted:
            counted[key] = count(
                argparse.Namespace(
                    **{
                        **vars(args), 'batch': batch,
                        'set': settings
                    }))[1]
        products, memory = (1e12 * rate for rate in CARDS[card])
        parts.append([
            1e3 * seconds_of(counted[key], *rates, tf32)
            for rates in ((products, float('inf')), (float('inf'), memory))
        ])
    times = [row[-1] for row in MEASURED]
    in_products, in_memory = parts[REFERENCE]
    share = in_memory / (times[REFERENCE] - in_products)
    yield ('| card | clips | TF32 | settings | measured, ms | predicted, ms '
           f'| | at {share:.0%} of the rate of memory, ms | |')
    yield '|---|---|---|---|---:|---:|---:|---:|---:|'
    for row, (in_products, in_memory) in zip(MEASURED, parts):
        *what, settings, time = row
        settings = ' '.join(f'{k}={v}' for k, v in settings.items())
        cells = [*what, settings, time]
        for part in (1, share):
            predicted = in_products + in_memory / part
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


if __name__ == '__main__':
    main()
