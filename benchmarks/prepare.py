"""What preparing a video costs over decoding, scaling and encoding alone.

    python benchmarks/prepare.py walk4k.mp4 --frames 600 --out prepare.json

Both sides are measured in one process and one run, in turn, on the first
frames of the video, in seconds of CPU time: the three steps by themselves, in
a loop of nothing else, and a segment as tools/prepare_video.py writes it, with
its search for damage, blank and frozen frames, and its files. What is done
once a file (index, estimate, putting together, comparison) is measured as
well and set against all segments of the file, so give a long one. Disk per
hour is that of the frames measured, also for H.264 of key frames only.
"""
import argparse
import json
import platform
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np

from dora_mm.video.display import NO_CROP
from dora_mm.video.plane_scaler import PlaneScaler
from dora_mm.video.preparation.assemble_parts import assemble_parts
from dora_mm.video.preparation.part_store import PartStore
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.segment_job import (SegmentJob, encode_segment,
                                                   estimate_bytes, open_source,
                                                   write_segment)
from dora_mm.video.preparation.source_video import Segment
from dora_mm.video.preparation.verify_video import check_frames, sample_numbers
from dora_mm.video.preparation.writers import H264Writer, MJPEGWriter
from dora_mm.video.readers.scan_video import scan_video
from dora_mm.video.scaled_size import scaled_size

# Frames in memory at a time: 250 MB of 4K.
_CHUNK = 20


class AllIntraWriter(H264Writer):
    """H.264 of key frames only, for comparison."""
    SETTINGS = dict(H264Writer.SETTINGS, gop=1)


def _jpeg_encoder(size, fps):
    return MJPEGWriter.encode


def _h264_encoder(size, fps):
    context = av.CodecContext.create('libx264', 'w')
    context.width, context.height = size
    context.pix_fmt, context.thread_count = 'yuv420p', 1
    context.time_base, context.framerate = 1 / fps, fps
    context.options = dict(preset='veryfast', crf='20', g='15', bf='0')

    def encode(planes):
        packed = np.concatenate([p.ravel() for p in planes])
        frame = av.VideoFrame.from_ndarray(
            packed.reshape(-1, size[0]), format='yuv420p')
        context.encode(frame)

    return encode


def alone(path, settings, size, fps, num_frames):
    """CPU seconds of decoding, scaling and encoding, each by itself."""
    make = dict(mjpeg=_jpeg_encoder, h264=_h264_encoder)[settings.encoding]
    encode = make(size, fps)
    scale = PlaneScaler(size, settings.writer.FULL_RANGE, NO_CROP)
    seconds = dict(decode=0., scale=0., encode=0.)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        source = islice(container.decode(stream), num_frames)
        while True:
            times = [time.process_time()]
            frames = list(islice(source, _CHUNK))
            times.append(time.process_time())
            if not frames:
                return seconds
            scaled = [scale(frame) for frame in frames]
            times.append(time.process_time())
            for planes in scaled:
                encode(planes)
            times.append(time.process_time())
            for name, begin, end in zip(seconds, times, times[1:]):
                seconds[name] += end - begin


def timed(func, *args):
    """CPU seconds of a call, and what it returns."""
    start = time.process_time()
    result = func(*args)
    return time.process_time() - start, result


def per_frame(path, encodings, num_frames, repeats, folder):
    """Milliseconds of CPU a frame, the ratio and disk, by encoding."""
    source = open_source(str(path))
    segment = Segment(0, (0, num_frames), (0, num_frames))
    runs = {name: [] for name in encodings}
    sizes = {}
    for turn in range(repeats):
        for name in encodings:
            settings = PrepareSettings(name)
            size = scaled_size(source.width, source.height,
                               settings.short_side)
            steps = alone(path, settings, size, source.fps, num_frames)
            store = PartStore(folder, dict(turn=turn, encoding=name))
            job = SegmentJob(str(path), segment, settings, store)
            ours, sizes[name] = timed(encode_segment, job)
            runs[name].append(dict(steps, ours=ours))
    rows = []
    hour = 3600 * source.fps / num_frames
    for name, values in runs.items():
        row = {
            key: 1e3 * statistics.median(v[key] for v in values) / num_frames
            for key in values[0]
        }
        row['ratio'] = statistics.median(
            v['ours'] / (v['decode'] + v['scale'] + v['encode'])
            for v in values)
        row['gb_per_hour'] = float(sizes[name] * hour / 1e9)
        rows.append(dict(encoding=name, **row))
    file = folder / 'intra.mp4'
    with AllIntraWriter(file, size, source.fps) as writer:
        write_segment(source, segment, writer)
    rows.append(
        dict(
            encoding='h264, key frames only',
            gb_per_hour=float(file.stat().st_size * hour / 1e9)))
    return rows


def per_file(path, num_frames, folder):
    """CPU seconds of what is done once a file."""
    source = open_source(str(path))
    settings = PrepareSettings()
    store = PartStore(folder, dict(turn=0, encoding='mjpeg'))
    part = store.path_of(Segment(0, (0, num_frames), (0, num_frames)))
    whole = folder / 'whole.mp4'
    index, _ = timed(scan_video, str(path))
    estimate, _ = timed(estimate_bytes, str(path), settings, folder)
    join, _ = timed(assemble_parts, [part], whole, source.fps)
    numbers = sample_numbers(num_frames, [], 16, settings.digest)
    compare, _ = timed(
        lambda:
        [check_frames(str(path), whole, settings, [n]) for n in numbers])
    return dict(
        index=index,
        estimate=estimate,
        put_together=join * source.num_frames / num_frames,
        compare=compare)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video', type=Path)
    parser.add_argument('--frames', type=int, default=600)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--out', type=Path, help='also write this JSON')
    args = parser.parse_args()

    source = open_source(str(args.video))
    num_frames = min(args.frames, source.index.num_frames)
    with tempfile.TemporaryDirectory() as folder:
        rows = per_frame(args.video, ('mjpeg', 'h264'), num_frames,
                         args.repeats, Path(folder))
        once = per_file(args.video, num_frames, Path(folder))
    info = dict(
        video=args.video.name,
        size=f'{source.width}x{source.height}',
        frames=num_frames,
        repeats=args.repeats,
        python=platform.python_version(),
        av=av.__version__,
        machine=platform.machine())
    print(', '.join(f'{k} {v}' for k, v in info.items()))
    print('CPU ms a frame; ratio = ours / (decode + scale + encode)')
    names = ('decode', 'scale', 'encode', 'ours', 'ratio', 'gb_per_hour')
    print(f'{"encoding":22}' + ''.join(f'{name:>12}' for name in names))
    for row in rows:
        print(f'{row["encoding"]:22}' +
              ''.join(f'{row[name]:12.2f}' if name in row else ' ' * 12
                      for name in names))
    segments = 1e-3 * rows[0]['ours'] * source.num_frames
    print(f'CPU s for all {source.num_frames} frames: {segments:.0f} for the '
          'segments; ' + ', '.join(f'{name} {value:.1f}'
                                   for name, value in once.items()) +
          f': {100 * sum(once.values()) / segments:.1f} % more')
    if args.out:
        args.out.write_text(
            json.dumps(
                dict(info=info, rows=rows, once=once, segments=segments),
                indent=2))


if __name__ == '__main__':
    main()
