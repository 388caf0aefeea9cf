import os
from typing import Dict, List, Sequence

import numpy as np

from .video_decode_error import VideoDecodeError
from .video_reader import VideoReader

_REPAIR = ('Check the file with `ffmpeg -v error -i FILE -f null -`, then '
           'download it again or leave it out.')


class PyAVReader(VideoReader):
    """Frames by PyAV: exact, and of every codec that FFmpeg knows.

    A table of the presentation times of all packets, made in one pass over
    the file at the first read, turns frame numbers into times. A read seeks
    to the key frame before a frame and decodes up to it, so the frames are
    right in files with open GOPs and variable frame rate too, and a read
    fails or succeeds the same way each time.

    Args:
        path (str): The file.
        num_threads (int): Decoder threads; one is best with many workers.
            Defaults to 1.

    Raises:
        ValueError: If ``num_threads`` is not positive.
    """

    def __init__(self, path: str, num_threads: int = 1) -> None:
        super().__init__(path)
        if num_threads < 1:
            raise ValueError('`num_threads` must be at least 1, but got '
                             f'{num_threads}.')
        self.num_threads = num_threads
        self._container = None
        self._stream = None
        # Presentation times in the order of the frames, int64 (num_frames, ),
        # and those of the key frames alone; they survive close().
        self._times = None
        self._key_times = None

    @property
    def num_frames(self) -> int:
        """Number of frames in the file."""
        self._open()
        return len(self._times)

    @property
    def fps(self) -> float:
        """Average frames per second."""
        self._open()
        return float(self._stream.average_rate)

    def get_frames(self, indices: Sequence[int]) -> np.ndarray:
        """See :meth:`VideoReader.get_frames`."""
        self._open()
        for index in indices:
            if not 0 <= index < len(self._times):
                raise VideoDecodeError(
                    self.path, f'frame {index} was asked for, but there are '
                    f'only {len(self._times)}.', _REPAIR, int(index))
        times = [int(self._times[i]) for i in indices]
        try:
            found = self._decode(sorted(set(times)))
        except Exception as error:
            self.close()
            raise VideoDecodeError(self.path,
                                   f'{type(error).__name__}: {error}.',
                                   _REPAIR, int(indices[0])) from error
        return np.stack([found[time] for time in times])

    def close(self) -> None:
        """See :meth:`VideoReader.close`."""
        if self._container is not None:
            self._container.close()
        self._container = self._stream = None

    def _open(self) -> None:
        if self._container is not None:
            return
        if not os.path.isfile(self.path):
            raise VideoDecodeError(self.path, 'the file is gone.', _REPAIR)
        import av

        try:
            self._container = av.open(self.path)
            self._stream = self._container.streams.video[0]
        except (av.error.FFmpegError, IndexError) as error:
            self.close()
            raise VideoDecodeError(self.path,
                                   f'{type(error).__name__}: {error}.',
                                   _REPAIR) from error
        self._stream.codec_context.thread_count = self.num_threads
        if self._times is None:
            self._make_table()

    def _make_table(self) -> None:
        import av

        times, key_times = [], []
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0:  # the empty packet that ends the stream
                    continue
                time = packet.dts if packet.pts is None else packet.pts
                times.append(time or 0)
                if packet.is_keyframe:
                    key_times.append(time or 0)
        except av.error.FFmpegError:
            # The end is missing: what came before can still be read.
            pass
        self._times = np.sort(np.array(times, np.int64))
        self._key_times = np.sort(np.array(key_times, np.int64))

    def _decode(self, times: List[int]) -> Dict[int, np.ndarray]:
        """Frames at the given times, which ascend."""
        found = {}
        frames, position = None, None
        for time in times:
            number = np.searchsorted(self._key_times, time, side='right') - 1
            key = int(self._key_times[max(0, number)])
            if position is None or key > position:
                self._container.seek(key, stream=self._stream)
                frames = self._container.decode(self._stream)
            position = None
            for frame in frames:
                position = frame.pts
                if position is None or position >= time:
                    break
            if position != time:
                raise LookupError(f'no frame at time {time} came out of the '
                                  'decoder')
            found[time] = frame.to_ndarray(format='rgb24')
        return found
