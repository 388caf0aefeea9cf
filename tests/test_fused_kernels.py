"""The model of fusion against Inductor's own scheduler, without a GPU."""
import sys
from types import SimpleNamespace

import pytest
import torch
from clean_python import ROOT
from torch._dynamo.device_interface import CudaInterface
from torch._inductor.decomposition import select_decomp_table
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from dora_mm.models import DoRAViT
from dora_mm.models.data_preprocessors.views.photometric import jitter

if not hasattr(torch.Tag, 'reduction'):
    pytest.skip('torch is too old to name reductions', allow_module_level=True)
sys.path.insert(0, str(ROOT / 'benchmarks'))
step_counts = pytest.importorskip('step_counts')

H100 = SimpleNamespace(
    name='NVIDIA H100',
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=80 * 2**30,
    max_threads_per_multi_processor=2048,
    regs_per_multiprocessor=65536,
    max_threads_per_block=1024,
    warp_size=32,
    gcnArchName='')


faked = pytest.mark.skipif(
    torch.cuda.is_available() or not torch.__version__.startswith('2.11.'),
    reason='what is faked here is private to PyTorch 2.11')


@pytest.fixture
def h100(monkeypatch):
    """Let Inductor believe in a GPU, as far as to schedule kernels for it."""
    import torch._inductor.scheduler

    def put(owner, name, value):
        monkeypatch.setattr(owner, name, lambda *args: value)

    put(torch.cuda, 'is_available', True)
    put(torch.cuda, 'device_count', 1)
    put(torch.cuda, 'current_device', 0)
    put(torch.cuda, 'get_device_properties', H100)
    put(torch.cuda, 'get_device_capability', (9, 0))
    put(CudaInterface, 'get_device_properties', H100)
    put(CudaInterface, 'get_compute_capability', 90)
    put(CudaInterface.Worker, 'get_device_properties', H100)
    put(CudaInterface.Worker, 'current_device', 0)
    put(torch._inductor.scheduler, 'has_triton', True)
    put(torch._subclasses.fake_tensor, 'init_gpu_context', None)


def scheduled_bytes(graph):
    """Read and written, by the kernels that Inductor makes itself."""
    from torch._inductor.debug import DebugContext
    from torch._inductor.graph import GraphLowering
    from torch._inductor.virtualized import V
    inputs = []
    for node in graph.graph.nodes:
        if node.op == 'placeholder':
            inputs.append(node.meta['val'])
        if 'device' in node.kwargs:
            node.kwargs = {**node.kwargs, 'device': torch.device('cuda', 0)}
    graph.recompile()
    with FakeTensorMode() as mode:
        inputs = [
            torch.empty_strided(
                x.shape, x.stride(), dtype=x.dtype, device='cuda')
            for x in inputs
        ]
        lowering = GraphLowering(make_fx(graph)(*inputs), inputs)
        with V.set_graph_handler(lowering), V.set_fake_mode(mode), \
                V.set_debug_handler(DebugContext()):
            lowering.run(*inputs)
            lowering._update_scheduler()
            return sum(node.get_read_write_buffers_sizes()
                       for node in lowering.scheduler.nodes
                       if not node.is_extern())


@faked
def test_bytes_are_those_that_inductor_would_move(monkeypatch, request):
    """Of a layer of ViT-S/16 on 768 images, without drop path, forward and
    backward. The model counted two float32 copies of the tokens per norm that
    no kernel makes."""
    graphs = []

    def keep(graph):
        graphs.append((graph, fused_kernels(graph)))
        return graphs[-1][1]

    fused_kernels = step_counts.fused_kernels
    monkeypatch.setattr(step_counts, 'fused_kernels', keep)
    counter = step_counts.KernelCounter()
    torch._dynamo.reset()
    layer = DoRAViT('deit-small').layers[0]
    layer = torch.compile(
        layer, backend=step_counts._counting_backend(counter))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        step_counts._forget_data(layer, mode)
        x = torch.empty(768, 197, 384, dtype=torch.bfloat16)
        x.requires_grad_()
        with torch.autocast('cpu', torch.bfloat16):
            out = layer(x)
        out.backward(torch.empty_like(out))
    request.getfixturevalue('h100')
    assert len(graphs) == 2
    for graph, kernels in graphs:
        ours = sum(k.read + k.written for k in kernels
                   if k.kind.startswith('fused'))
        assert ours == pytest.approx(scheduled_bytes(graph), rel=0.01)


@faked
def test_jitter_reads_pixels_twice_and_writes_them_once(request):
    """With a mean luma in each of six blends it was 19 times the images."""
    with FakeTensorMode():
        images = torch.empty(408, 3, 224, 224)
        graph = make_fx(
            torch.func.functionalize(jitter),
            decomposition_table=select_decomp_table())(
                images, torch.empty(408, 1, 1, 1),
                torch.empty(4, 6, 408, 1, 1, 1))
    request.getfixturevalue('h100')
    assert 3 <= scheduled_bytes(graph) / images.nbytes < 3.02
