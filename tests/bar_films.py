"""Films of bars that spell numbers, and how FFmpeg shows them."""
import os
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos

WIDTH, HEIGHT, NUM = 160, 64, 150


def bars(number, size=(WIDTH, HEIGHT)):
    """Ten vertical bars spell the number; the upper left corner is dark."""
    width, height = size
    bits = np.array([number >> bit & 1 for bit in range(10)])
    row = np.where(bits, 220, 60).repeat(width // 10)
    picture = np.repeat(row[None, :, None], height, 0).repeat(3, 2)
    picture[:height // 4] //= 2
    return picture.astype(np.uint8)


def tinted(number, size=(WIDTH, HEIGHT)):
    """The bars in colours, which tell one matrix from another."""
    return (bars(number, size) * [1, .7, .4]).astype(np.uint8)


def number_of(picture):
    middles = picture[picture.shape[0] // 2].reshape(10, -1, 3)
    return int(((middles.mean((1, 2)) > 130) * 2**np.arange(10)).sum())


def write(path, x264='keyint=12', codec='libx264', size=None, **options):
    """Numbered frames, 150 of them, ``first`` on, shown from ``start`` on."""
    muxer = options.pop('muxer', {})
    first, start = options.pop('first', 0), options.pop('start', 0)
    num = options.pop('num', NUM)
    rotation, aspect = options.pop('rotation', None), options.pop('sar', None)
    if codec == 'libx264':
        options.update({'preset': 'veryfast', 'x264-params': x264})
    with av.open(str(path), 'w', options=muxer) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if isinstance(rotation, int):
            stream.set_display_rotation(rotation)
        elif rotation is not None:
            stream.set_display_matrix(rotation)
        for number in range(num):
            image = av.VideoFrame.from_ndarray(
                bars(first + number), format='rgb24')
            image.pts, image.time_base = start + number, Fraction(1, 25)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return str(path)


def write_streams(path, parts, length=40):
    """Streams of H.264 one behind the other, as in a broadcast.

    Each of ``parts`` may set size, pix_fmt, colorspace and color_range.
    """
    with av.open(str(path), 'w') as container:
        muxed = None
        for part, settings in enumerate(parts):
            settings = dict(settings)
            size = settings.pop('size', (WIDTH, HEIGHT))
            context = av.CodecContext.create('libx264', 'w')
            context.width, context.height = size
            context.time_base, context.framerate = Fraction(1, 25), 25
            context.pix_fmt = settings.pop('pix_fmt', 'yuv420p')
            for name, value in settings.items():
                setattr(context, name, value)
            # With its header in every key frame.
            context.options = {'preset': 'veryfast', 'bf': '0', 'g': '10'}
            muxed = muxed or container.add_mux_stream(
                'h264', rate=25, width=size[0], height=size[1])
            packets = []
            for number in range(part * length, (part + 1) * length):
                image = av.VideoFrame.from_ndarray(
                    tinted(number, size), format='rgb24')
                image = image.reformat(
                    format=context.pix_fmt,
                    dst_colorspace=settings.get('colorspace'),
                    dst_color_range=settings.get('color_range'))
                image.pts, image.time_base = number, Fraction(1, 25)
                packets += context.encode(image)
            for packet in packets + context.encode():
                packet.stream, packet.time_base = muxed, Fraction(1, 25)
                container.mux(packet)
    return str(path)


def remux(path, target):
    """Copy the packets of a film into another container."""
    with av.open(path) as source, av.open(str(target), 'w') as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return str(target)


def flip(path, place, bit=1):
    """Flip a bit as a disk does: size and time of the file stay."""
    status = os.stat(path)
    with open(path, 'r+b') as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ bit]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def by_ffmpeg(path, size):
    """The first frame as FFmpeg's program shows it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-i', path]
    command += ['-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3)


def prepared(path, folder, **settings):
    """A video made by the preparation, and its manifest."""
    videos, errors = prepare_videos([path], folder,
                                    PrepareSettings(**settings))
    assert not errors
    return str(videos[0].path), videos[0].manifest
