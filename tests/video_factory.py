"""Videos for the tests: each frame carries its number, and damage."""
from pathlib import Path

import av
import numpy as np

CELL = 16
HEIGHT, WIDTH = 3 * CELL, 8 * CELL


def numbered_frame(number):
    """A frame whose upper row of squares is its number in binary."""
    rng = np.random.default_rng(number)
    frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for bit in range(8):
        frame[:CELL, bit * CELL:(bit + 1) * CELL] = 255 * (number >> bit & 1)
    # Noise makes each packet large enough for damage to hit it.
    noise = rng.integers(0, 256, (2 * CELL, WIDTH, 1), dtype=np.uint8)
    frame[CELL:] = noise
    return frame


def read_number(frame):
    """Number in a decoded frame (H, W, 3)."""
    middle = frame[CELL // 2, CELL // 2::CELL].mean(axis=-1) > 127
    return int((middle * 2**np.arange(8)).sum())


def moving_shot(seed, num_frames, speed=1):
    """Frames of a texture that moves, uint8 (N, H, W): a shot of a film."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 256, (6, 16 + 1)).astype(np.float32)
    rows = np.linspace(0, 5, 72)
    columns = np.linspace(0, 16, 512)
    smooth = np.array([np.interp(columns, np.arange(17), row) for row in low])
    wide = np.array([np.interp(rows, np.arange(6), c) for c in smooth.T]).T
    return np.array([
        np.roll(wide, -speed * t, 1)[:, :128] for t in range(num_frames)
    ]).reshape(-1, 72, 128).astype(np.uint8)


def write_video(path,
                num_frames,
                fps=10,
                gop=20,
                codec='libx264',
                pix_fmt='yuv420p',
                **muxer):
    """Write a video of numbered frames.

    Args:
        path (Path): File to write.
        num_frames (int): At most 256.
        fps (int): Frames per second.
        gop (int): Frames from one key frame to the next.
        codec (str): Encoder.
        pix_fmt (str): Its pixel format.
        **muxer: Options of the container, e.g. ``movflags``.
    """
    with av.open(str(path), 'w', options=muxer) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = 1
        if codec == 'libx264':
            stream.options = dict(
                preset='veryfast', crf='20', g=str(gop), bf='2')
        for number in range(num_frames):
            image = av.VideoFrame.from_ndarray(
                numbered_frame(number), format='rgb24')
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return str(path)


def damage(source, target, kind):
    """Write a damaged copy of an mp4 file.

    Args:
        source (str): An mp4 whose index comes last, or first for
            ``'truncated_faststart'``.
        target (Path): File to write.
        kind (str): What is done to it.
    """
    data = bytearray(Path(source).read_bytes())
    begin, end = data.index(b'mdat') + 4, data.rindex(b'moov') - 4
    if kind in ('truncated_faststart', 'truncated_moov_last'):
        data = data[:len(data) * 6 // 10]
    elif kind == 'empty':
        data = b''
    elif kind == 'text':
        data = b'not a video\n' * 500
    elif kind == 'zeroed_tail':
        first = begin + (end - begin) * 7 // 10
        data[first:end] = bytes(end - first)
    elif kind == 'zeroed_hole':
        first = begin + (end - begin) * 4 // 10
        last = begin + (end - begin) * 5 // 10
        data[first:last] = bytes(last - first)
    elif kind == 'zeroed_all':
        data[begin:end] = bytes(end - begin)
    else:
        raise KeyError(kind)
    Path(target).write_bytes(data)
    return str(target)
