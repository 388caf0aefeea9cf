"""What it costs to load clips, in our ways and as the released code does.

    python benchmarks/make_test_video.py walk4k.mp4 --loop-minutes 60
    python tools/prepare_video.py walk4k.mp4 --out-dir store
    python benchmarks/loader.py walk4k_60min.mp4 store/walk4k.mp4 --out l.json

VIDEO is an original, PROXY what ``prepare_video.py`` made. A clip is 8
frames, one second apart, from a random place. Every way runs in a process of
its own, in turn, ``--repeats`` times; "x released" is the median over the
rounds of the ratio within a round. CPU time is that of all threads, user and
system. "block shuffle" is measured once, over a whole lane of a few blocks,
its first decoding included. One clip of the released way takes half a minute
and 7 GB of memory on an hour of 4K.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loader_tables import STAGES, print_clips, print_memory, print_open

# Not imported from loader_ways, which would make this process large.
SLOW = ('released', 'original, full shuffle')
BLOCK = 'original, block shuffle'
ON_STORE = ('store, crop', 'store, all views on the CPU',
            'store, bytes for the device')
_SCALED = dict(type='PyAVReader', short_side=600)
_PACKAGES = ('torch', 'torchvision', 'av', 'decord', 'simplejpeg', 'pillow',
             'numpy')


def run(spec, memory_limit, script='loader_ways.py'):
    """Result of one task in a process of its own.

    Args:
        spec (dict): The task.
        memory_limit (float): GB, at which the process is ended: decord may
            take more than the machine has.

    Returns:
        dict: The result, or ``failed``, the reason.
    """
    script = Path(__file__).with_name(script)
    load = os.getloadavg()[0]
    command = [sys.executable, str(script), json.dumps(spec)]
    with tempfile.TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=dict(os.environ, OMP_NUM_THREADS='1'))
        failed = _watch(process, memory_limit)
        output = process.communicate()[0]
        if failed is None and process.returncode:
            errors.seek(0)
            lines = errors.read().strip().splitlines() or ['no message']
            failed = lines[-1]
    if failed:
        return dict(failed=failed)
    result = json.loads(output.splitlines()[-1])
    return dict(result, load=(load + os.getloadavg()[0]) / 2)


def _watch(process, memory_limit):
    """Wait for the end; the reason if it had to be ended."""
    while True:
        try:
            process.wait(0.5)
            return None
        except subprocess.TimeoutExpired:
            pass
        try:
            status = Path(f'/proc/{process.pid}/status').read_text()
        except FileNotFoundError:
            continue
        rows = [r for r in status.splitlines() if r.startswith('VmRSS')]
        if rows and int(rows[0].split()[1]) > memory_limit * 1e6:
            process.kill()
            return f'ended at {memory_limit:g} GB, see --memory-limit'


def measure_clips(args):
    """Rows of way and medians over the rounds."""
    ways = ['released', 'original, full shuffle', BLOCK]
    ways += ON_STORE if args.proxy else []
    runs = {way: [] for way in ways}
    for turn in range(args.repeats):
        for way in ways:
            if way == BLOCK and (turn > 0 or args.block_clips == 0):
                continue
            clips = args.slow_clips if way in SLOW else args.clips
            if way == BLOCK:
                clips = args.block_clips
            video = args.proxy if way in ON_STORE else args.video
            spec = dict(
                task='clips', way=way, video=video, clips=clips, seed=turn)
            result = run(spec, args.memory_limit)
            print(f'{turn + 1}/{args.repeats} {way}: {_brief(result)}',
                  file=sys.stderr, flush=True)  # yapf: disable
            runs[way].append(result)
    return [_summary(way, runs) for way in ways if runs[way]]


def _brief(result):
    return result.get('failed') or f'{result["cpu_ms"]:.1f} ms a clip'


def _summary(way, runs):
    good = [r for r in runs[way] if 'failed' not in r]
    row = dict(way=way, runs=runs[way])
    if not good:
        return dict(row, failed=runs[way][0]['failed'])
    ratios = [
        base['cpu_ms'] / own['cpu_ms']
        for base, own in zip(runs.get('released', []), runs[way])
        if 'failed' not in base and 'failed' not in own
    ]
    for name in ('cpu_ms', 'wall_ms', 'bytes_to_device', 'bytes_read',
                 'imports_bytes', 'peak_bytes', 'load'):
        row[name] = statistics.median(r[name] for r in good)
    row['stages'] = {
        stage: statistics.median(r['stages'][stage] for r in good)
        for stage in STAGES
    }
    row['clips'] = sum(r['clips'] for r in good)
    row['clips_per_second'] = 1e3 / row['cpu_ms']
    row['ratio'] = statistics.median(ratios) if ratios else None
    return row


def measure_open(args):
    """Rows of reader, with the index made and with the index there."""
    cases = [('PyAVReader, original', args.video, _SCALED)]
    if args.proxy:
        cases.append(('MJPEGReader, store', args.proxy, None))
    for _, video, _ in cases:
        _read_through(video)
    spec = dict(task='open', video=args.video, reader='decord')
    rows = [dict(reader='decord, original', **run(spec, args.memory_limit))]
    for name, video, reader in cases:
        spec = dict(task='open', video=video, reader=reader)
        for state in ('index made', 'index there'):
            result = run(spec, args.memory_limit)
            rows.append(dict(reader=f'{name}, {state}', **result))
    return rows


def _read_through(path):
    """Bring a file into the page cache, as far as it fits."""
    with open(path, 'rb') as file:
        while file.read(1 << 24):
            pass


def measure_memory(args):
    """Rows of way and memory of a dataloader."""
    rows = []
    for way in args.memory_ways:
        video = args.proxy if way in ON_STORE else args.video
        if video is None:
            continue
        spec = dict(
            task='memory',
            way=way,
            video=video,
            clips=args.memory_clips,
            workers=args.workers,
            minutes=args.memory_minutes,
            seed=0)
        rows.append(dict(way=way, **run(spec, args.memory_limit)))
    return rows


def machine():
    """What the numbers depend on."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    model = platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        with open('/proc/cpuinfo') as file:
            names = [row for row in file if row.startswith('model name')]
        model = names[0].split(':')[1].strip() if names else model
    return dict(
        date=time.strftime('%Y-%m-%d'),
        cpu=model,
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        **versions)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video')
    parser.add_argument('proxy', nargs='?')
    add = parser.add_argument
    add('--repeats', type=int, default=3, help='rounds')
    add('--clips', type=int, default=300, help='a round, from the store')
    add('--slow-clips',
        type=int,
        default=3,
        help='a round, released and full shuffle of the original')
    add('--block-clips',
        type=int,
        default=1920,
        help='about, a multiple of 480 that is once loaded in block shuffle; '
        '0 leaves it out')
    add('--memory-ways',
        nargs='*',
        default=['store, crop'],
        choices=['original, full shuffle', BLOCK, *ON_STORE],
        metavar='WAY',
        help='ways whose memory over time is measured')
    add('--memory-clips',
        type=int,
        default=10000,
        help='compared with the memory after a twentieth of them')
    add('--memory-minutes', type=float, default=10., help='most for one way')
    add('--workers', type=int, default=2, help='of that dataloader')
    add('--memory-limit', type=float, default=12., help='GB of a process')
    add('--out', type=Path, help='also write the numbers to this JSON')
    args = parser.parse_args()
    for path in filter(None, (args.video, args.proxy)):
        if not os.path.isfile(path):
            parser.error(f'{path} does not exist')
    if min(args.repeats, args.clips, args.slow_clips, args.workers) < 1:
        parser.error('--repeats, --clips, --slow-clips and --workers must be '
                     'at least 1')
    return args


def main():
    args = parse_args()
    if args.proxy is None:
        print('No PROXY: the ways that read a prepared video are left out.')
    info = machine()
    with tempfile.TemporaryDirectory() as cache:
        # No index is there at first, and `measure_open` makes them all.
        os.environ['DORA_MM_CACHE'] = cache
        opens = measure_open(args)
        clips = measure_clips(args)
        memory = measure_memory(args)
    loads = [r['load'] for row in clips for r in row['runs'] if 'load' in r]
    info[
        'load'] = f'{min(loads, default=0):.1f} to {max(loads, default=0):.1f}'
    print(', '.join(f'{k} {v}' for k, v in info.items()), end='\n\n')
    print_clips(clips)
    print_open(opens)
    print_memory(memory)
    if args.out:
        numbers = dict(info=info, clips=clips, open=opens, memory=memory)
        args.out.write_text(json.dumps(numbers, indent=2))


if __name__ == '__main__':
    main()
