"""Prove that each reader returns the frames that it was asked for.

    python benchmarks/exact_reads.py
    python benchmarks/exact_reads.py walk4k_60min.mp4 --frames 200

Clips at random places are read from small files of 38 kinds, which are made
first, and from the videos named, both of ``make_test_video.py``. The number
in each frame must be that of the frame asked for in the order of
presentation; of the small files also the pixels must be those of decoding
from the start. A file may be refused instead, with the remedy, which is
followed: each small file is prepared too and the result read. Ends with status
1 if a frame is wrong.
"""
import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from command_pixels import command_pixels
from frame_number import read_number
from video_classes import FPS, make_classes

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import MJPEGReader, build_reader
from dora_mm.video.readers.probe_video import probe_video

READERS = {
    'chosen by file': None,
    'DecordReader': dict(type='DecordReader'),
    'PyAVReader': dict(type='PyAVReader'),
    'PyAVReader, scaled': dict(type='PyAVReader', short_side=120),
}
CLIP_LEN = 8
# Beyond the limit a read that never comes back is given up.
_GRACE = 120


def decode_in_order(path):
    """All frames as decoded from the start, uint8 (F, H, W, 3).

    Raises:
        RuntimeError: If the numbers in them do not ascend one by one, so the
            file itself or its decoding is wrong.
    """
    with av.open(str(path)) as container:
        frames = np.stack(
            [command_pixels(frame) for frame in container.decode(video=0)])
    numbers = [read_number(frame) for frame in frames]
    if None in numbers or (np.diff(numbers) != 1).any():
        raise RuntimeError(f'the frames of {str(path)!r} do not carry '
                           'ascending numbers: make the file anew')
    return frames


def draw_clips(num_frames, fps, num_clips, rng, any_step):
    """Frame numbers of clips, int64 (num_clips, CLIP_LEN).

    Args:
        num_frames (int): Frames of the file.
        fps (int): Frames per second.
        num_clips (int): Number of clips.
        rng (np.random.Generator): Source of the random numbers.
        any_step (bool): Steps of 1 and 7 frames besides those of a second,
            and a quarter of the clips in a random order.
    """
    largest = (num_frames - 1) // (CLIP_LEN - 1)
    clips = []
    for _ in range(num_clips):
        step = min(fps, largest)
        if any_step:
            step = min(largest, int(rng.choice([1, 7, step])))
        start = rng.integers(num_frames - (CLIP_LEN - 1) * step)
        clip = start + step * np.arange(CLIP_LEN)
        if any_step and rng.random() < 0.25:
            clip = rng.permutation(clip)
        clips.append(clip)
    return np.stack(clips)


class Counter:
    """Counts of right, wrong and refused frames of one reader and file.

    Args:
        path (Path): The file.
        args (argparse.Namespace): The command's options.
        in_order (bool): Decode the file from the start first and compare
            pixels; else frame n must carry n modulo ``args.period``.
    """

    def __init__(self, path, args, in_order):
        self.row = dict(right=0, wrong=0, refused=0, error=0, message='')
        self.frames = decode_in_order(path) if in_order else None
        if in_order:
            self.num_frames, self.fps = len(self.frames), FPS
            self.first, self.period = read_number(self.frames[0]), 1 << 20
        else:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                self.num_frames = stream.frames
                self.fps = round(stream.average_rate)
            self.first, self.period = 0, args.period

    def refuse(self, error, count):
        self.row['refused'] += count
        self.row['message'] = self.row['message'] or str(error).split('\n')[0]

    def check(self, numbers, clip):
        """Compare the frames of a clip with what they should be."""
        for number, frame in zip(numbers, clip):
            right = read_number(frame) == (number + self.first) % self.period
            if right and self.frames is not None:
                right = self._same_pixels(frame, self.frames[number])
            self.row['right' if right else 'wrong'] += 1

    def _same_pixels(self, frame, expected):
        if frame.shape != expected.shape:
            return True  # scaled: the number has to do
        gap = int(np.abs(frame.astype(np.int16) - expected).max())
        self.row['error'] = max(self.row['error'], gap)
        return gap == 0


def read_at_random(path, cfg, args, in_order):
    """The row of one file and reader."""
    counter = Counter(path, args, in_order)
    row = counter.row
    try:
        reader = build_reader(str(path), cfg)
        type(reader).check_video(probe_video(str(path)))
        if reader.num_frames != counter.num_frames:
            row['message'] = (f'promises {reader.num_frames} frames of '
                              f'{counter.num_frames}')
            row['wrong'] += abs(reader.num_frames - counter.num_frames)
    except ValueError as error:
        counter.refuse(error, args.frames)
        return row
    row['class'] = type(reader).__name__
    if isinstance(reader, MJPEGReader):  # libjpeg's colours are not FFmpeg's
        counter.frames = None
    num_clips = args.frames // CLIP_LEN
    rng = np.random.default_rng(args.seed)
    clips = draw_clips(counter.num_frames, counter.fps, num_clips, rng,
                       in_order)
    start = time.monotonic()
    for numbers in clips:
        if time.monotonic() - start > args.limit:
            row['message'] = row['message'] or f'stopped after {args.limit} s'
            break
        try:
            counter.check(numbers, reader.get_frames(numbers))
        except ValueError as error:
            counter.refuse(error, len(numbers))
    return row


def _target(queue, *arguments):
    try:
        queue.put(read_at_random(*arguments))
    except Exception as error:
        message = f'{type(error).__name__}: {error}'.split('\n')[0]
        queue.put(dict(right=0, wrong=1, refused=0, error=0, message=message))


def in_own_process(*arguments):
    """:func:`read_at_random`, which neither a crash nor a hang ends."""
    # Forked: importing torch each time would take longer than the reads.
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    process = context.Process(target=_target, args=(queue, *arguments))
    process.start()
    give_up = time.monotonic() + arguments[2].limit + _GRACE
    while process.is_alive() and queue.empty() and time.monotonic() < give_up:
        time.sleep(0.1)
    if not queue.empty():
        row = queue.get()
        process.join()
        return row
    state = 'hung' if process.is_alive() else f'ended: {process.exitcode}'
    process.kill()
    process.join()
    return dict(right=0, wrong=1, refused=0, error=0, message=state)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'videos', type=Path, nargs='*', help='files of make_test_video.py')
    parser.add_argument(
        '--classes', type=Path, help='folder of the small files, if made')
    parser.add_argument('--source', type=Path, help='what to make them from')
    parser.add_argument(
        '--length',
        type=int,
        default=600,
        help='frames of each small file, at least 81')
    parser.add_argument('--readers', nargs='+', default=list(READERS),
                        choices=list(READERS))  # yapf: disable
    parser.add_argument(
        '--frames', type=int, default=2000, help='per file and reader')
    parser.add_argument(
        '--period',
        type=int,
        default=2400,
        help='frames after which the numbers in VIDEOS begin again')
    parser.add_argument(
        '--limit', type=float, default=600, help='seconds, likewise')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, help='also write this JSON')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Old indexes of the videos are part of what must not be believed.
        os.environ['DORA_MM_CACHE'] = folder
        if args.classes is None:
            small = make_classes(
                Path(folder, 'classes'),
                args.source,
                more=True,
                num_frames=args.length)
        else:
            small = sorted(p for p in args.classes.iterdir() if p.is_file())
        rows = measure(small, args, Path(folder, 'prepared'))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))
    sys.exit(any(row['wrong'] for row in rows))


def measure(small, args, folder):
    """Print and return a row of each file and reader."""
    rows = []
    print(f'{"file":22} {"reader":20} {"right":>6} {"wrong":>6} '
          f'{"refused":>7} {"error":>5}  message')
    for path in [*small, *args.videos]:
        names = args.readers
        # Its numbers do not ascend one by one at a constant rate.
        if path in small and path.stem != 'variable_rate':
            names = [*names, 'prepared']
        for name in names:
            file = path
            if name == 'prepared':
                file = folder / path.name / f'{path.stem}.mp4'
                _, errors = prepare_videos([str(path)], file.parent,
                                           PrepareSettings())
                if errors:
                    raise errors[str(path)]
            row = in_own_process(file, READERS.get(name), args, path in small)
            if name in READERS and READERS[name] is None and 'class' in row:
                name = f'chosen: {row["class"]}'
            row = dict(file=path.name, reader=name, **row)
            rows.append(row)
            print(
                f'{row["file"]:22} {name:20} {row["right"]:6} '
                f'{row["wrong"]:6} {row["refused"]:7} {row["error"]:5}  '
                f'{row["message"][:300]}',
                flush=True)
    return rows


if __name__ == '__main__':
    main()
