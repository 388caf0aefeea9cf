from typing import Sequence

import av
import numpy as np
import simplejpeg

from .video_writer import VideoWriter


class MJPEGWriter(VideoWriter):
    """JPEGs as the packets of an mp4 file, see :class:`VideoWriter`.

    FFmpeg only does the muxing: libjpeg-turbo encodes four times as fast as
    FFmpeg's own encoder, and every packet is a JPEG file that any library
    reads.
    """

    SETTINGS = dict(quality=90)
    FULL_RANGE = True

    def _add_stream(self):
        width, height = self.size
        stream = self._container.add_mux_stream(
            'mjpeg', rate=self.fps, width=width, height=height)
        stream.time_base = 1 / self.fps
        return stream

    def write(self, planes: Sequence[np.ndarray], times: int = 1) -> None:
        """See :meth:`VideoWriter.write`."""
        jpeg = simplejpeg.encode_jpeg_yuv_planes(*planes, **self.SETTINGS)
        for _ in range(times):
            packet = av.Packet(jpeg)
            packet.stream = self._stream
            packet.time_base = self._stream.time_base
            packet.pts = packet.dts = self.num_frames
            packet.duration = 1
            packet.is_keyframe = True
            self._container.mux(packet)
            self.num_frames += 1
