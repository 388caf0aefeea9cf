"""Make the 4K 60 fps H.264 file, each frame numbered, that is benchmarked.

    python benchmarks/make_test_video.py walk4k.mp4 --loop-minutes 60
    python benchmarks/make_test_video.py walk4k.mp4 --source clip.mp4

The picture is a real video (``--source``) or the one that dora_mm draws
itself, enlarged, under a camera that never stands still, with film grain:
no two frames are equal. Group length, B frames and bit rate are those of long
videos as they are downloaded. ``--loop-minutes`` adds a second file,
``walk4k_60min.mp4``, which repeats the first without encoding it anew: its
frame n carries the number n modulo the frames of the first.
"""
import argparse
import math
import shutil
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from frame_number import draw_number

from dora_mm.utils.atomic_file import atomic_file
from dora_mm.video.demo_video import demo_frames

_GRAIN = 2.5  # standard deviation, of 255
_SHIFTS = 64


def source_frames(source, num_frames, fps):
    """Pictures of a video at another frame rate.

    Between two pictures of the source they are mixed; a source that is too
    short starts again.

    Args:
        source (str | Path | None): Video file; None is the demo video.
        num_frames (int): Number of pictures.
        fps (int): Pictures per second.

    Yields:
        np.ndarray: RGB, uint8 (H, W, 3), in the size of the source.
    """
    if source is None:
        yield from demo_frames(num_frames, (960, 540), fps)
        return
    pictures, rate = _endless(source)
    step = float(rate) / fps
    first, second = next(pictures), next(pictures)
    position = 0.
    for _ in range(num_frames):
        while position >= 1:
            first, second = second, next(pictures)
            position -= 1
        yield cv2.addWeighted(first, 1 - position, second, position, 0)
        position += step


def _endless(source):
    with av.open(str(source)) as container:
        rate = container.streams.video[0].average_rate

    def pictures():
        frame = None
        while True:
            with av.open(str(source)) as container:
                for frame in container.decode(video=0):
                    yield frame.to_ndarray(format='rgb24')
            if frame is None:
                raise ValueError('source must be a video with frames, but '
                                 f'got {source}: name another one')

    return pictures(), rate


def numbered_frames(source, size, num_frames, fps, seed=0):
    """Frames of the test video.

    Args:
        source (str | Path | None): See :func:`source_frames`.
        size (tuple[int, int]): Width and height in pixels, both even.
        num_frames (int): Number of frames.
        fps (int): Frames per second.
        seed (int): Seed of the grain. Defaults to 0.

    Yields:
        np.ndarray: RGB, uint8 (height, width, 3), with its number drawn in.

    Raises:
        ValueError: If the size or the rate is out of range.
    """
    width, height = size
    if width < 160 or height < 90 or width % 2 or height % 2:
        raise ValueError('size must be an even width and height of at least '
                         f'160 x 90 pixels, but got {tuple(size)}')
    if fps < 1:
        raise ValueError(f'fps must be at least 1, but got {fps}')
    rng = np.random.default_rng(seed)
    # One large picture of grain, of which each frame sees another part.
    grain = rng.normal(128, _GRAIN, (height + _SHIFTS, width + _SHIFTS, 1))
    grain = grain.round().astype(np.uint8).repeat(3, 2)
    pictures = source_frames(source, num_frames, fps)
    for number, picture in enumerate(pictures):
        frame = cv2.warpAffine(
            picture,
            _camera(number / fps, picture.shape, height, width),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101)
        y, x = rng.integers(_SHIFTS, size=2)
        grained = cv2.addWeighted(frame, 1, grain[y:y + height, x:x + width],
                                  1, -128)
        draw_number(grained, number)
        yield grained


def _camera(seconds, shape, height, width):
    """Map from pixels of the frame to pixels of the source, (2, 3).

    The centre goes round an ellipse with constant angular speed, so it is
    never at rest; the zoom breathes more slowly.
    """
    turn = 2 * math.pi * seconds / 9
    zoom = 1.25 + 0.1 * math.sin(2 * math.pi * seconds / 23)
    scale = min(shape[0] / height, shape[1] / width) / zoom
    margin = np.array([shape[1] - scale * width, shape[0] - scale * height])
    centre = np.array([math.cos(turn), math.sin(turn)]) * 0.45 + 0.5
    return np.column_stack([scale * np.eye(2), margin * centre])


def encode(path,
           frames,
           fps,
           codec,
           options,
           times=None,
           pix_fmt='yuv420p',
           **muxer_options):
    """Encode frames; the file appears when it is complete.

    Args:
        path (str | Path): File to write; its extension chooses the container.
        frames (Iterable[np.ndarray]): At least one, RGB, uint8 (H, W, 3) with
            even sides.
        fps (int): Frames per second.
        codec (str): Encoder as FFmpeg calls it.
        options (dict[str, str]): Options of the encoder.
        times (Sequence[int], optional): Presentation time of each frame in
            units of 1 / (20 fps) seconds, ascending. Defaults to None, a
            constant rate.
        pix_fmt (str): Pixel format of the encoder. Defaults to 'yuv420p'.
        **muxer_options (str): Options of the container.
    """
    unit = Fraction(1, fps if times is None else 20 * fps)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        with av.open(
                str(file.temporary), 'w', options=muxer_options) as container:
            stream = container.add_stream(codec, rate=fps, options=options)
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = unit
            for number, frame in enumerate(frames):
                if number == 0:
                    stream.height, stream.width = frame.shape[:2]
                # OpenCV converts four times as fast as swscale here.
                planes = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
                image = av.VideoFrame.from_ndarray(planes, format='yuv420p')
                image.pts = number if times is None else times[number]
                image.time_base = unit
                container.mux(stream.encode(image))
            container.mux(stream.encode())


def repeat(source, path, times):
    """Repeat a video by copying its packets.

    Args:
        source (str | Path): Video of constant frame rate.
        path (str | Path): File to write.
        times (int): How many times.

    Raises:
        OSError: If the disk is too small; checked first.
    """
    size = Path(source).stat().st_size * times
    free = shutil.disk_usage(Path(path).parent).free
    if size > free:
        raise OSError(f'{str(path)!r} needs {size / 1e9:.1f} GB, but only '
                      f'{free / 1e9:.1f} GB are free: choose another folder '
                      'or a smaller --loop-minutes')
    with atomic_file(path) as file:
        with av.open(str(file.temporary), 'w') as output:
            stream = None
            for turn in range(times):
                with av.open(str(source)) as container:
                    original = container.streams.video[0]
                    if stream is None:
                        stream = output.add_stream_from_template(original)
                    period = original.frames / (
                        original.average_rate * original.time_base)
                    shift = round(turn * period)
                    for packet in container.demux(original):
                        if packet.size == 0:
                            continue
                        packet.pts += shift
                        packet.dts += shift
                        packet.stream = stream
                        output.mux(packet)


def _with_progress(frames, total):
    start = last = time.monotonic()
    for number, frame in enumerate(frames):
        yield frame
        if time.monotonic() - last > 10:
            last = time.monotonic()
            rest = (last - start) / (number + 1) * (total - number - 1)
            print(
                f'{number + 1} of {total} frames, {rest:.0f} s to go',
                file=sys.stderr,
                flush=True)


def make_test_video(args):
    """Make the file, and the repeated one if it is asked for."""
    total = args.seconds * args.fps
    frames = numbered_frames(args.source, args.size, total, args.fps)
    options = dict(
        preset='veryfast',
        b=str(round(args.mbps * 1e6)),
        g=str(args.gop),
        keyint_min=str(args.gop),
        sc_threshold='0',
        bf='3',
        b_strategy='0')
    encode(args.out, _with_progress(frames, total), args.fps, 'libx264',
           options)
    print(args.out)
    if args.loop_minutes:
        times = max(1, round(args.loop_minutes * 60 / args.seconds))
        looped = args.out.with_name(
            f'{args.out.stem}_{args.loop_minutes:g}min{args.out.suffix}')
        repeat(args.out, looped, times)
        print(looped)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='file, .mp4')
    parser.add_argument('--source', type=Path, help='a video of any size')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(3840, 2160), metavar='PIXELS')
    parser.add_argument('--seconds', type=int, default=40)
    parser.add_argument('--fps', type=int, default=60)
    parser.add_argument('--gop', type=int, default=250)
    parser.add_argument('--mbps', type=float, default=25., help='bit rate')
    parser.add_argument('--loop-minutes', type=float)
    args = parser.parse_args()
    if min(args.seconds, args.fps, args.gop, args.mbps) <= 0:
        parser.error('--seconds, --fps, --gop and --mbps must be positive')
    if args.source and not args.source.is_file():
        parser.error(f'--source {args.source} does not exist')
    make_test_video(args)


if __name__ == '__main__':
    main()
