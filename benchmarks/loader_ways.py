"""The ways of loading clips that ``loader.py`` compares, each measured in a
process of its own: ``python loader_ways.py JSON`` prints a line of JSON."""
import json
import os
import random
import sys
import time

import av  # noqa: F401  (no part of the time to open a file)
import cv2
import torch
from mmengine.dataset import default_collate, pseudo_collate
from torch.utils.data import DataLoader

from dora_mm.datasets import BlockClipSampler, ClipSampler
from dora_mm.models.data_preprocessors import ClipViewPreprocessor
from dora_mm.registry import DATASETS
from dora_mm.video.readers import build_reader

_SCALED = dict(type='PyAVReader', short_side=600)
_CHOSEN = dict(type='dora_mm.LoadClipFromVideo')
# Name -> how it reads; None is the released code. `warm_up`: clips that are
# loaded before, to open files and fill caches.
WAYS = {
    'released': None,
    'original, full shuffle': dict(
        load=dict(type='dora_mm.LoadClipFromVideo', reader=_SCALED),
        warm_up=1),
    'original, block shuffle': dict(
        load=dict(type='dora_mm.LoadClipFromBlock'), block=True, warm_up=0),
    'store, crop': dict(load=_CHOSEN, prepared=True, warm_up=20),
    'store, all views on the CPU': dict(
        load=_CHOSEN, prepared=True, views=True, warm_up=20),
    'store, bytes for the device': dict(
        load=dict(type='dora_mm.ReadClipJPEGs'), prepared=True, bytes=True,
        warm_up=20),
}  # yapf: disable
STAGES = ('open', 'read', 'crop', 'views', 'collate')
BATCH_SIZE = 6


class StageClock:
    """CPU time of this process, all threads, by stage."""

    def __init__(self):
        self.seconds = dict.fromkeys(STAGES, 0.)
        self.start()

    def start(self):
        self._last = time.process_time()

    def __call__(self, stage):
        now = time.process_time()
        self.seconds[stage] += now - self._last
        self._last = now


class _Timed:
    """A transform, after which its stage is over."""

    def __init__(self, transform, clock, stage):
        self.transform, self.clock, self.stage = transform, clock, stage

    def __call__(self, results):
        results = self.transform(results)
        self.clock(self.stage)
        return results


def build_dataset(way, path):
    """Clips of 8 frames, one second apart, as a training config reads."""
    return DATASETS.build(
        dict(
            type='WalkingToursVideoDataset',
            video=path,
            clip_len=8,
            frame_interval=1.,
            across_cuts=True,  # their cost is the same
            pipeline=[
                way['load'],
                dict(type='dora_mm.ClipRandomResizedCrop'),
                dict(type='dora_mm.PackClipInputs')
            ]))


def sampler_of(way, dataset, seed, num_lanes):
    if way.get('block'):
        return BlockClipSampler(dataset, BATCH_SIZE, num_lanes, seed=seed)
    return ClipSampler(dataset, seed=seed)


def draw_starts(seed, number, num_clips):
    """Numbers of clips, the same for all ways that read at random."""
    rng = random.Random(seed)
    return [rng.randrange(num_clips) for _ in range(number)]


def _requests(way, dataset, spec):
    """What is asked for to warm up, and what is measured.

    With block shuffle it is one whole lane: what a stretch of it costs
    depends on where it lies, because blocks are decoded ahead.
    """
    seed, number = spec['seed'], spec['clips']
    if way.get('block'):
        num_lanes = max(1, round(len(dataset) / number))
        sampler = sampler_of(way, dataset, seed, num_lanes)
        return [], [r for r in sampler if r.slot == 0]
    # Of other seeds, lest what is measured is in a cache.
    warm_up = draw_starts(seed + 1000, way['warm_up'], len(dataset))
    starts = draw_starts(seed, number, len(dataset))
    return [(i, seed) for i in warm_up], [(i, i + seed) for i in starts]


def _bytes_read():
    with open('/proc/self/io') as file:
        return int(file.readline().split()[1])


def _status(pid, name):
    """A line of /proc/PID/status, in bytes."""
    with open(f'/proc/{pid}/status') as file:
        line = next(row for row in file if row.startswith(f'{name}:'))
    return int(line.split()[1]) * 1024


def _private_bytes(pid):
    """Memory that a process shares with no other, in bytes."""
    with open(f'/proc/{pid}/smaps_rollup') as file:
        return 1024 * sum(
            int(row.split()[1]) for row in file if row.startswith('Private_'))


def cpu_seconds(pid):
    """Of a process, user and system."""
    with open(f'/proc/{pid}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def children_of(pid):
    """Process ids."""
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return file.read().split()


def _num_bytes(batch):
    if isinstance(batch, torch.Tensor):
        return batch.nbytes
    values = batch.values() if isinstance(batch, dict) else batch
    return sum(
        map(_num_bytes, (v for v in values
                         if isinstance(v, (torch.Tensor, dict, list, tuple)))))


def _released_batches(spec, clock):
    with av.open(spec['video']) as container:
        stride = round(container.streams.video[0].average_rate)
    from released_way import ReleasedWay  # it alone needs decord
    dataset = ReleasedWay(spec['video'], clock, stride)
    random.seed(spec['seed'])
    torch.manual_seed(spec['seed'])
    yield  # all is ready
    for start in draw_starts(spec['seed'], spec['clips'], len(dataset)):
        batch = torch.utils.data.default_collate([dataset[start]])
        clock('collate')
        yield 1, batch


def _our_batches(spec, clock):
    way = WAYS[spec['way']]
    dataset = build_dataset(way, spec['video'])
    warm_up, requests = _requests(way, dataset, spec)
    preprocessor = ClipViewPreprocessor(global_views=dict(num=1))
    for request in warm_up:
        dataset[request]
    pipeline = dataset.pipeline.transforms
    pipeline[:] = [
        _Timed(t, clock, stage)
        for t, stage in zip(pipeline, ('read', 'crop', 'collate'))
    ]
    yield
    for first in range(0, len(requests), BATCH_SIZE):
        samples = [dataset[r] for r in requests[first:first + BATCH_SIZE]]
        collate = pseudo_collate if way.get('bytes') else default_collate
        batch = collate(samples)
        clock('collate')
        if way.get('views'):
            batch = preprocessor(batch, training=True)
            clock('views')
        yield len(samples), batch


def measure_clips(spec):
    """CPU time, bytes and memory of one way."""
    imported = _status(os.getpid(), 'VmRSS')
    clock = StageClock()
    released = WAYS[spec['way']] is None
    batches = (_released_batches if released else _our_batches)(spec, clock)
    next(batches)
    bytes_before, wall = _bytes_read(), time.perf_counter()
    clock.start()
    begin = time.process_time()
    num_clips = to_device = 0
    for num, batch in batches:
        num_clips += num
        to_device += _num_bytes(batch)
    total = time.process_time() - begin
    return dict(
        clips=num_clips,
        cpu_ms=1e3 * total / num_clips,
        wall_ms=1e3 * (time.perf_counter() - wall) / num_clips,
        stages={
            k: 1e3 * v / num_clips
            for k, v in clock.seconds.items()
        },
        bytes_to_device=to_device / num_clips,
        bytes_read=(_bytes_read() - bytes_before) / num_clips,
        imports_bytes=imported,
        peak_bytes=_status(os.getpid(), 'VmHWM'))


def measure_open(spec):
    """Time until the file can be read, and until its first frame is there."""
    if spec['reader'] == 'decord':
        import decord
    bytes_before = _bytes_read()
    wall, cpu = time.perf_counter(), time.process_time()

    def elapsed():
        return time.perf_counter() - wall, time.process_time() - cpu

    if spec['reader'] == 'decord':
        video = decord.VideoReader(spec['video'], num_threads=1)
        opened = elapsed()
        video.get_batch([0]).asnumpy()
    else:
        reader = build_reader(spec['video'], spec['reader'])
        reader.num_frames
        opened = elapsed()
        reader.get_frames([0])
    first = elapsed()
    return dict(
        open_wall=opened[0],
        open_cpu=opened[1],
        first_wall=first[0],
        first_cpu=first[1],
        bytes_read=_bytes_read() - bytes_before)


def measure_memory(spec):
    """Memory of a dataloader after a twentieth of the clips and at the end.

    Or after half of the time, if it is too short for the clips.
    """
    way = WAYS[spec['way']]
    dataset = build_dataset(way, spec['video'])
    sampler = sampler_of(way, dataset, spec['seed'], spec['workers'])
    loader = DataLoader(
        dataset,
        BATCH_SIZE,
        sampler=sampler,
        num_workers=spec['workers'],
        collate_fn=default_collate,
        persistent_workers=True)
    num_clips, early = 0, None
    begin = time.monotonic()
    half, stop = begin + 30 * spec['minutes'], begin + 60 * spec['minutes']
    while num_clips < spec['clips'] and time.monotonic() < stop:
        for batch in loader:
            num_clips += len(batch['inputs'])
            now = time.monotonic()
            if early is None and (num_clips >= spec['clips'] // 20
                                  or now > half):
                early = _memory_now(num_clips)
            if num_clips >= spec['clips'] or now > stop:
                break
        sampler.set_epoch(sampler.epoch + 1)
    late = _memory_now(num_clips)
    between = max(1, late['clips'] - early['clips'])
    return dict(
        early=early,
        late=late,
        growth=late['bytes'] / early['bytes'] - 1,
        cpu_ms=1e3 * (late['cpu'] - early['cpu']) / between)


def _memory_now(num_clips):
    children = children_of(os.getpid())
    pids = [os.getpid(), *children]
    return dict(
        clips=num_clips,
        bytes=sum(_status(pid, 'VmRSS') for pid in pids),
        cpu=sum(map(cpu_seconds, pids)),
        worker_peak=max(_status(pid, 'VmHWM') for pid in children),
        worker_private=max(map(_private_bytes, children)))


TASKS = dict(clips=measure_clips, open=measure_open, memory=measure_memory)


def main():
    spec = json.loads(sys.argv[1])
    # As in a worker of the dataloader.
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    print(json.dumps(TASKS[spec['task']](spec)))


if __name__ == '__main__':
    main()
