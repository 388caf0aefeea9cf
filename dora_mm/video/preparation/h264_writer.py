from typing import Sequence

import av
import numpy as np

from .video_writer import VideoWriter

_BT601 = 5  # as in the H.264 standard's table of matrix coefficients
_LIMITED = 1


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
