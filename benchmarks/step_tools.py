"""What the benchmarks of the step share: model, batch, clock, memory."""
import contextlib
import datetime
import platform
import resource
import time
import warnings
from collections import defaultdict

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch.utils.flop_counter import (FlopCounterMode,
                                      sdpa_backward_flop_count,
                                      sdpa_flop_count)

import dora_mm  # noqa: F401  (allows _base_='dora_mm::...')
from dora_mm.registry import MODELS
from dora_mm.utils.shipped_configs import config_path

CHANNELS = {'deit-tiny': 192, 'deit-small': 384, 'deit-base': 768}
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16, fp16=torch.float16)


def add_size_options(parser):
    """Options of what is trained."""
    parser.add_argument('--arch', choices=CHANNELS, default='deit-small')
    parser.add_argument('--batch', type=int, default=2, help='clips, B')
    parser.add_argument('--frames', type=int, default=8, help='T')
    parser.add_argument('--objects', type=int, default=3, help='K')
    parser.add_argument('--local-views', type=int, default=6, help='L')
    parser.add_argument('--logits', type=int, default=65536, help='P')
    parser.add_argument('--threads', type=int, default=0, help='of the CPU')
    parser.add_argument(
        '--config',
        default='dora/vit-s16_wt_released.py',
        help='a recipe of configs/')


def build_model(args, device, settings=None):
    """The recipe's model with random weights, without drop path, and with
    ``settings``, a dict of dotted names."""
    MMLogger.get_instance('benchmarks', log_level='WARNING')
    recipe = Config.fromfile(config_path(args.config))
    cfg = recipe.model
    cfg.backbone.update(arch=args.arch, drop_path_rate=0.)
    cfg.neck.update(in_channels=CHANNELS[args.arch], out_channels=args.logits)
    cfg.loss.out_channels = args.logits
    cfg.head.num_objects = args.objects
    cfg.data_preprocessor.local_views.num = args.local_views
    recipe.merge_from_dict({
        f'model.{key}': value
        for key, value in (settings or {}).items()
    })
    torch.manual_seed(0)
    model = MODELS.build(recipe.model)  # merging made a new one
    model.init_weights()
    return model.train().to(device)


def make_views(model, batch, frames, device, seed=0):
    """Normalised views of random clips."""
    views = model.data_preprocessor
    generator = torch.Generator().manual_seed(seed)

    def normal(group):
        shape = (group.num, batch, frames, 3, group.size, group.size)
        return torch.randn(shape, generator=generator).to(device)

    return dict(
        global_clips=normal(views.global_views),
        local_clips=normal(views.local_views))


class StageClock:
    """Seconds and FLOPs of named stages, without stopping the device."""

    def __init__(self, device):
        self.cuda = device.type == 'cuda'
        self.marks, self.flops = [], defaultdict(int)
        self.counter = None

    def now(self):
        """A point in the device's time."""
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @contextlib.contextmanager
    def stage(self, name):
        """Time what runs inside."""
        start = self.now()
        before = self.counter.get_total_flops() if self.counter else 0
        yield
        if self.counter:
            self.flops[name] += self.counter.get_total_flops() - before
        self.marks.append((name, start, self.now()))

    def wrap(self, owner, method, name):
        """Time every call of a method."""
        function = getattr(owner, method)

        def timed(*args, **kwargs):
            with self.stage(name):
                return function(*args, **kwargs)

        setattr(owner, method, timed)

    @contextlib.contextmanager
    def count(self):
        """Count the FLOPs of the stages inside."""
        aten = torch.ops.aten
        name = '_scaled_dot_product_flash_attention_for_cpu'
        mapping = {
            getattr(aten, name): _attention_flops,
            getattr(aten, f'{name}_backward'): _attention_backward_flops
        }
        # It does not see into what torch.compile has made.
        eager = contextlib.nullcontext()
        if hasattr(torch.compiler, 'set_stance'):
            eager = torch.compiler.set_stance('force_eager')
        with eager, FlopCounterMode(
                display=False, custom_mapping=mapping) as counter:
            self.counter = counter
            yield
        self.counter = None

    def read(self):
        """Seconds of each stage since the last call."""
        if self.cuda:
            torch.cuda.synchronize()
        seconds = defaultdict(float)
        for name, start, end in self.marks:
            seconds[name] += (
                start.elapsed_time(end) / 1e3 if self.cuda else end - start)
        self.marks = []
        return seconds


# torch counts attention on CUDA only.
def _attention_flops(query, key, value, *args, **kwargs):
    return sdpa_flop_count(query, key, value)


def _attention_backward_flops(grad, query, key, value, *args, **kwargs):
    return sdpa_backward_flop_count(grad, query, key, value)


def matmul_rate(device, dtype):
    """FLOP/s that a large matrix product reaches here."""
    size = 8192 if device.type == 'cuda' else 2048
    left, right = torch.randn(2, size, size, device=device).to(dtype)
    clock = StageClock(device)
    seconds = []
    for _ in range(3):
        with clock.stage('product'):
            left @ right
        seconds.append(clock.read()['product'])
    return 2 * size**3 / min(seconds)


def peak_memory(device):
    """Bytes: of the device, or of the process on a CPU."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    try:
        # Unlike ru_maxrss this starts anew with the program.
        with open('/proc/self/status') as file:
            line, = (line for line in file if line.startswith('VmHWM'))
        return int(line.split()[1]) * 1024
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def restart_peak(device):
    """Forget the peak of memory so far, on CUDA; the bytes in use."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    return peak_memory(device)


def profile(function):
    """What a GPU and the host do in a call.

    Returns:
        dict: ``host_ms`` until the call comes back; ``device_ms``, the sum of
        all kernels and copies; ``launches``; ``waits``, how often the host
        waits for the GPU; and ``kernels``, the ms and launches of each.
    """
    function()  # warm
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('warn')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        start = time.perf_counter()
        function()
        host = time.perf_counter() - start
    torch.cuda.set_sync_debug_mode('default')
    torch.cuda.synchronize()
    activity = torch.profiler.ProfilerActivity.CUDA
    with torch.profiler.profile(activities=[activity]) as profiler:
        function()
        torch.cuda.synchronize()
    kernels = [(event.self_device_time_total / 1e3, event.count, event.key)
               for event in profiler.key_averages()
               if event.self_device_time_total]
    kernels.sort(reverse=True)
    return dict(
        host_ms=1e3 * host,
        device_ms=sum(ms for ms, *_ in kernels),
        launches=sum(number for _, number, _ in kernels),
        waits=[
            f'{w.filename}:{w.lineno}' for w in said
            if 'synchroniz' in str(w.message)
        ],
        kernels=kernels)


def print_profile(found, rows):
    """Print the numbers of :func:`profile`, and so many kernels."""
    print(f'\nhost {found["host_ms"]:.1f} ms, device '
          f'{found["device_ms"]:.1f} ms in {found["launches"]} launches; the '
          f'host waits {len(found["waits"])} times {found["waits"]}')
    for ms, number, name in found['kernels'][:rows]:
        print(f'{ms:8.3f} ms {number:5} {name[:110]}')


def describe(device):
    """Machine and versions."""
    name = platform.processor() or platform.machine()
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        with contextlib.suppress(FileNotFoundError, StopIteration):
            with open('/proc/cpuinfo') as file:
                line = next(x for x in file if x.startswith('model name'))
            name = line.split(':')[1].strip()
    return dict(
        date=datetime.date.today().isoformat(),
        machine=name,
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=torch.__version__,
        dora_mm=dora_mm.__version__)
