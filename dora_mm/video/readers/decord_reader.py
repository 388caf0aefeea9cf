import functools
import os
import threading
from typing import Any, Callable, Sequence

import numpy as np

from .pyav_reader import PyAVReader
from .video_info import VideoInfo
from .video_reader import VideoReader
from .warn import warn


@functools.lru_cache(maxsize=None)
def _fork_safe_video_reader() -> type:
    """decord's VideoReader, which a fork of its process does not free.

    Its threads do not exist in the fork, and to free it there would wait for
    them for ever. The garbage collector may come to that at any time.
    """
    import decord

    # Its messages go to stderr at once, from C, several a clip.
    decord.logging.set_level(decord.logging.QUIET)

    class ForkSafeVideoReader(decord.VideoReader):

        def __init__(self, *args, **kwargs) -> None:
            self._pid = os.getpid()
            super().__init__(*args, **kwargs)

        def __del__(self) -> None:
            if self._pid == os.getpid():
                super().__del__()

    return ForkSafeVideoReader


class DecordReader(VideoReader):
    """Frames by decord, as the authors' code reads them, but kept open.

    The authors open the file anew for every clip. At the open decord reads
    the whole file, so that costs gigabytes of input a clip on an hour of 4K.

    decord decodes ahead of what is asked for, and an error that it meets
    there may or may not spoil the read, by chance. So what decord fails to
    read is read once more by :class:`PyAVReader`, whose pixels are the same:
    a clip near a damaged place is replaced always or never.

    decord conceals damage: it returns wrong pictures without an error where
    :class:`PyAVReader` raises one, also from packets that have changed since
    the file was indexed, as it hands out none to compare. It cannot read AV1
    and returns other frames than those asked for in files with open GOPs or
    an edit list, in AVI and in ASF; :meth:`check_video` compares it with
    decoding from the start.

    Args:
        path (str): The file.
        num_threads (int): Decoder threads; one is best with many workers.
            Defaults to 1.
        timeout (float): Seconds after which a read counts as hung. decord can
            spin for ever when a container promises frames that cannot be
            decoded; it is not tried again on that file. Defaults to 50.

    Raises:
        ValueError: If ``num_threads`` or ``timeout`` is not positive.
    """

    def __init__(self,
                 path: str,
                 num_threads: int = 1,
                 timeout: float = 50.) -> None:
        super().__init__(path)
        if timeout <= 0:
            raise ValueError('timeout must be a positive number of seconds, '
                             f'but got {timeout}')
        self.num_threads = num_threads
        self.timeout = timeout
        # Refuses a wrong `num_threads`.
        self._fallback = PyAVReader(path, num_threads)
        self._video = None
        self._hung = False
        self._warned = False

    @classmethod
    def check_video(cls, info: VideoInfo) -> None:
        """See :meth:`VideoReader.check_video`."""
        fault = None
        if info.codec == 'av1':
            fault = 'is AV1 video, which decord cannot read'
        elif info.has_open_gop:
            fault = ('has open groups of pictures, of which decord returns '
                     'wrong frames')
        elif info.has_edit_list:
            fault = ('has an edit list, and decord counts the frames that it '
                     'hides')
        elif not info.seekable:
            fault = ('has no reliable time for each frame (MPEG-TS, say), and '
                     'decord does not find its frames')
        elif info.num_cut > 0:
            # decord gives up at the open if a packet starts beyond the end.
            fault = (f'is truncated: {info.num_cut} frames, from frame '
                     f'{info.num_frames} on, are missing, and decord cannot '
                     'open it. Download it again, or')
        if fault is None:
            # Not at the top: it imports PyAV.
            from .reader_fault import reader_fault

            fault = reader_fault(info.path, cls)
            if not fault:
                return
            fault = f'is not read right by decord: {fault}'
        remedy = ('prepare it: python tools/prepare_video.py '
                  f'{info.path} --out-dir DIR')
        if info.seekable:
            remedy += ", or use reader=dict(type='PyAVReader')"
        raise ValueError(f'{info.path!r} {fault}: {remedy}')

    def get_frames(self, indices: Sequence[int]) -> np.ndarray:
        """See :meth:`VideoReader.get_frames`."""
        indices = [int(i) for i in indices]
        self.check_indices(indices)
        if not self._hung:
            try:
                return call_with_timeout(lambda: self._read(indices),
                                         self.timeout)
            except ImportError:
                raise
            except Exception as error:
                self._hung = isinstance(error, TimeoutError)
                # After an error decord's queue still holds frames of the
                # failed read, so the next one must start afresh.
                self._video = None
                self._warn(error)
        return self._fallback.get_frames(indices)

    def close(self) -> None:
        """See :meth:`VideoReader.close`."""
        self._video = None
        self._fallback.close()

    def _open(self):
        if self._video is None:
            self._video = _fork_safe_video_reader()(
                self.path, num_threads=self.num_threads)
        return self._video

    def _read(self, indices: Sequence[int]) -> np.ndarray:
        video = self._open()
        frames = video.get_batch(indices).asnumpy()
        # Else decord goes on demuxing in the background and its packet queue
        # grows by gigabytes on a large file.
        video.seek(0)
        if len(frames) != len(indices):
            raise ValueError(f'{len(frames)} frames came back where '
                             f'{len(indices)} were asked for')
        return frames

    def _warn(self, error: Exception) -> None:
        """Say once a file that PyAV stands in."""
        if self._warned:
            return
        self._warned = True
        lines = str(error).strip().splitlines() or ['no message.']
        warn(
            f'decord failed in {self.path!r} and PyAV is tried instead, now '
            f'and at later failures: {type(error).__name__}: '
            f'{lines[0][:300]}')


def call_with_timeout(func: Callable[[], Any], timeout: float) -> Any:
    """Call a function that may never return.

    A decoder that spins in C code can be neither interrupted nor killed. It
    is left behind in a daemon thread, which does not keep the process alive.

    Args:
        func (Callable): Function without arguments, which must release the
            interpreter's lock while it is busy.
        timeout (float): Seconds to wait for it.

    Returns:
        Any: What the function returns.

    Raises:
        TimeoutError: If it has not returned in time.
        Exception: Whatever the function raises.
    """
    outcome = {}

    def target() -> None:
        try:
            outcome['value'] = func()
        except BaseException as error:  # handed over to the caller's thread
            outcome['error'] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise TimeoutError(f'no answer within {timeout:g} seconds')
    if 'error' in outcome:
        try:
            raise outcome['error']
        finally:
            # Error -> traceback -> this frame -> error would keep what the
            # function held alive until the garbage collector comes.
            outcome.clear()
    return outcome['value']
