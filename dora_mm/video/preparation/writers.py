import io
from abc import ABCMeta, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Sequence, Tuple, Union

import av
import numpy as np
from PIL import Image

from dora_mm.video.readers.cut_jpegs import MOST_STRETCHES, note_stretches
from dora_mm.video.readers.packet_sums import sign_jpeg

_BT601 = 5  # as in the H.264 standard's table of matrix coefficients
_LIMITED = 1


class VideoWriter(metaclass=ABCMeta):
    """An mp4 file of constant frame rate, of one stream, without B frames.

    A context manager; the file is complete when it is left.

    Args:
        path (str | Path): File to write, with the extension ``.mp4``.
        size (tuple[int, int]): Width and height in pixels, both even.
        fps (Fraction): Frames per second.
    """

    #: What the manifest says about the encoder.
    SETTINGS: ClassVar[dict]
    #: Whether samples have the range 0 to 255 instead of 16 to 235 (luma) and
    #: 16 to 240 (chroma). The matrix is that of BT.601 in either case: some
    #: readers know no other.
    FULL_RANGE: ClassVar[bool]

    def __init__(self, path: Union[str, Path], size: Tuple[int, int],
                 fps: Fraction) -> None:
        self.size = size
        self.fps = fps
        self.num_frames = 0
        self._container = av.open(str(path), 'w')
        self._stream = self._add_stream()

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(self, *exc_info) -> None:
        if exc_info[0] is None:
            self._flush()
        self._container.close()

    @abstractmethod
    def _add_stream(self):
        """Add the stream to the container."""

    @abstractmethod
    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """Append a picture.

        Args:
            planes (Sequence[np.ndarray]): Y, U and V in 4:2:0, each uint8
                (rows, columns), of the range of :attr:`FULL_RANGE`.
            times (int): How many frames show it. Defaults to 1.
        """

    def _flush(self) -> None:
        """Write what the encoder holds back."""


class MJPEGWriter(VideoWriter):
    """JPEGs as the packets of an mp4 file, see :class:`VideoWriter`.

    FFmpeg only does the muxing: every packet is a JPEG file that any library
    reads. Its decoding restarts every few blocks, at the same places of each
    row of them, so that a crop is decoded without the rest
    (:func:`cut_jpegs`). FFmpeg's own encoder restarts at rows only, and
    simplejpeg nowhere. A comment in it holds the checksum of what follows:
    damage seldom keeps a JPEG from being decoded.
    """

    # Blocks are of 16x16 pixels.
    SETTINGS = dict(quality=90, most_blocks_a_stretch=4)
    FULL_RANGE = True

    def _add_stream(self):
        width, height = self.size
        stream = self._container.add_mux_stream(
            'mjpeg', rate=self.fps, width=width, height=height)
        stream.time_base = 1 / self.fps
        return stream

    @classmethod
    def encode(cls, planes: Sequence[np.ndarray]) -> bytes:
        """Make a JPEG, without a checksum.

        Args:
            planes (Sequence[np.ndarray]): Y, U and V in 4:2:0, each uint8
                (rows, columns), of full range, Y of even sides.

        Returns:
            bytes: The JPEG.
        """
        luma, *chroma = map(Image.fromarray, planes)
        # The encoder takes the mean of four equal values: these are the planes
        # again.
        chroma = (plane.resize(luma.size, Image.NEAREST) for plane in chroma)
        picture = Image.merge('YCbCr', (luma, *chroma))
        settings = dict(
            quality=cls.SETTINGS['quality'],
            subsampling='4:2:0',
            restart_marker_blocks=cls._blocks_a_stretch(*luma.size))
        file = io.BytesIO()
        try:
            picture.save(file, 'JPEG', optimize=True, **settings)
        except OSError:  # noise: Pillow has room for one byte a pixel then
            file = io.BytesIO()
            picture.save(file, 'JPEG', **settings)
        return note_stretches(file.getvalue())

    @classmethod
    def _blocks_a_stretch(cls, width: int, height: int) -> int:
        """As few as leave room for the note, and as said in the settings."""
        columns, rows = -(-width // 16), -(-height // 16)
        wanted = cls.SETTINGS['most_blocks_a_stretch']
        divisors = [n for n in range(1, columns + 1) if columns % n == 0]
        largest = max(n for n in divisors if n <= wanted)
        return next(n for n in divisors if n >= largest
                    and rows * columns // n <= MOST_STRETCHES)

    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """See :meth:`VideoWriter.write`."""
        jpeg = sign_jpeg(self.encode(planes))
        for _ in range(times):
            packet = av.Packet(jpeg)
            packet.stream = self._stream
            packet.time_base = self._stream.time_base
            packet.pts = packet.dts = self.num_frames
            packet.duration = 1
            packet.is_keyframe = True
            self._container.mux(packet)
            self.num_frames += 1


class H264Writer(VideoWriter):
    """H.264 with a key frame every quarter of a second at 60 fps.

    No B frames and closed groups: every reader finds every frame. See
    :class:`VideoWriter`.
    """

    SETTINGS = dict(crf=20, gop=15, preset='veryfast')
    FULL_RANGE = False

    def _add_stream(self):
        options = dict(
            preset=self.SETTINGS['preset'],
            crf=str(self.SETTINGS['crf']),
            g=str(self.SETTINGS['gop']),
            bf='0')
        stream = self._container.add_stream(
            'libx264', rate=self.fps, options=options)
        stream.width, stream.height = self.size
        stream.pix_fmt = 'yuv420p'
        context = stream.codec_context
        context.time_base = 1 / self.fps
        # The processes are the parallelism, and the result must not depend on
        # the machine.
        context.thread_count = 1
        context.colorspace = _BT601
        context.color_range = _LIMITED
        return stream

    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """See :meth:`VideoWriter.write`."""
        width, height = self.size
        packed = np.concatenate([plane.ravel() for plane in planes])
        packed = packed.reshape(height * 3 // 2, width)
        for _ in range(times):
            frame = av.VideoFrame.from_ndarray(packed, format='yuv420p')
            frame.pts = self.num_frames
            frame.time_base = 1 / self.fps
            frame.colorspace, frame.color_range = _BT601, _LIMITED
            self._container.mux(self._stream.encode(frame))
            self.num_frames += 1

    def _flush(self) -> None:
        self._container.mux(self._stream.encode())
