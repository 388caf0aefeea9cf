import os
import weakref
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np

from dora_mm.video.display import Display, same_shape
from dora_mm.video.picture_error import PictureError
from dora_mm.video.scaled_size import scaled_size
from dora_mm.video.set_color_matrix import set_color_matrix
from .video_decode_error import REPAIR, VideoDecodeError
from .video_info import VideoInfo
from .video_reader import VideoReader

# Key frames by which a read that fails starts earlier, one try each.
_MORE_RUN_UP = (0, 1, 2, 4)
# Decoders of processes that this one was forked from. To free them may wait
# for ever, for threads that do not exist here.
_foreign: List[Any] = []


class PyAVReader(VideoReader):
    """Frames by PyAV: exact, and of every codec that FFmpeg knows.

    The saved index of the file (:func:`load_video_index`) turns frame numbers
    into presentation times. A read seeks to the key frame before a frame,
    decodes up to it and stops there, and on the way leaves out pictures that
    no other one refers to. So the frames are right in files with open GOPs,
    edit lists and variable frame rate too, and a read fails or succeeds the
    same way each time.

    Args:
        path (str): The file.
        num_threads (int): Decoder threads; one is best with many workers,
            and only one leaves out pictures. Defaults to 1.
        short_side (int, optional): Shrink frames whose shorter side is larger
            to this many pixels, by the mean over areas; 600 keeps all that a
            300-pixel crop can show. None keeps the frames as they are.
            Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 path: str,
                 num_threads: int = 1,
                 short_side: Optional[int] = None) -> None:
        super().__init__(path)
        if num_threads < 1:
            raise ValueError('num_threads must be at least 1, but got '
                             f'{num_threads}')
        if short_side is not None and short_side < 1:
            raise ValueError('short_side must be a positive number of '
                             f'pixels or None, but got {short_side}')
        self.num_threads = num_threads
        self.short_side = short_side
        self._container = None
        self._stream = None
        self._reformatter = None

    @classmethod
    def check_video(cls, info: VideoInfo) -> None:
        """See :meth:`VideoReader.check_video`."""
        if not info.seekable:
            fault = info.fault or ('it has no reliable time for each frame '
                                   '(MPEG-TS, or times that are missing or '
                                   'repeated)')
            raise ValueError(
                f'frames of {info.path!r} cannot be sought: {fault}. Prepare '
                f'it: python tools/prepare_video.py {info.path} --out-dir '
                'DIR, and train on the result')

    def get_frames(self, indices: Sequence[int]) -> np.ndarray:
        """See :meth:`VideoReader.get_frames`."""
        self.check_indices(indices)
        times = [int(self.index.times[i]) for i in indices]
        try:
            self._open()
            found = self._decode(sorted(set(times)))
        except VideoDecodeError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._error(error, int(indices[0])) from error
        return np.stack([found[time] for time in times])

    def iter_frames(self, begin: int,
                    end: int) -> Iterator[Tuple[int, object]]:
        """Decode a stretch of frames in the order in which they are shown.

        Args:
            begin (int): Number of the first frame.
            end (int): Number behind the last one, at most ``num_frames``.

        Yields:
            tuple[int, av.VideoFrame]: Frame number and frame as decoded,
            neither scaled nor converted. A number is left out if the frame
            cannot be decoded, if damage may reach it, or if its shape is not
            that of the film's first.

        Raises:
            VideoDecodeError: If the file cannot be opened, or there is no key
                frame to start from.
        """
        from .decode_sound import decode_sound  # imports PyAV
        from .seek_to_key import sound_from

        try:
            self._open()
            first, last = (int(self.index.times[i]) for i in (begin, end - 1))
            film = (self.index.width, self.index.height)  # 0 fits all
            run_up = self.index.run_up
            if self.index.has_open_gop:
                run_up = max(run_up, 1)  # no frame is read again here
            start = sound_from(self.index.key_times,
                               self.index.key_number(first), run_up)
            packets, decoder = self._decoding_from(first, run_up)
            packets = self._skipping(packets, decoder, first, last)
            for frame in decode_sound(decoder, packets, start,
                                      self.index.run_up):
                number = self.index.find(frame.pts)
                shown = Display.of(frame, self.index.crop,
                                   self._stream).shown_size(frame)
                if number is not None and begin <= number < end \
                        and same_shape(shown, film):
                    yield number, frame
                if frame.pts == last:
                    break
        except (OSError, LookupError) as error:
            self.close()
            raise self._error(error, begin) from error

    def to_rgb(self,
               frame: Any,
               stream: Any = None,
               size: Optional[Tuple[int, int]] = None) -> np.ndarray:
        """Scale, convert and turn a decoded frame as it is to be shown.

        Args:
            frame (av.VideoFrame): The frame.
            stream (av.VideoStream, optional): Its stream; None takes the one
                that is open.
            size (tuple[int, int], optional): Width and height of the film as
                shown; None takes those of the index.

        Returns:
            np.ndarray: uint8 (H, W, 3).

        Raises:
            PictureError: If it cannot be shown as its file says.
            ValueError: If the picture has not the shape of the film's first.
        """
        import av

        if self._reformatter is None:
            self._reformatter = av.video.reformatter.VideoReformatter()
        display = Display.of(frame, self.index.crop, stream or self._stream)
        shown = display.shown_size(frame)
        film = size or (self.index.width, self.index.height)
        if not any(film):
            film = shown
        if not same_shape(shown, film):
            raise ValueError(
                'the picture must keep its shape to the end, but it changes '
                f'from {film[0]}x{film[1]} to {shown[0]}x{shown[1]}')
        if self.short_side is not None:
            film = scaled_size(*film, self.short_side)
        stored, frame = display.stored_size(*film), display.cut(frame)
        set_color_matrix(frame)
        same = stored == (frame.width, frame.height)
        return display.orient(
            self._reformatter.reformat(
                frame,
                *stored,
                format='rgb24',
                interpolation='BILINEAR' if same else 'AREA',
                threads=1).to_ndarray())

    def close(self) -> None:
        """See :meth:`VideoReader.close`."""
        if self._container is not None:
            self._container.close()
            self._owned.detach()
        self._container = self._stream = self._reformatter = None

    def _open(self) -> None:
        if self._container is not None:
            return
        if not os.path.isfile(self.path):
            raise FileNotFoundError('the file is gone')
        from .open_film import open_film  # imports PyAV
        from .packet_sums import header_sum

        container, stream = open_film(self.path, self.num_threads)
        if header_sum(self.path, stream) != self.index.header_sum:
            container.close()
            raise self._changed('the header')
        self._container, self._stream = container, stream
        self._owned = weakref.finalize(self, _keep_if_foreign, os.getpid(),
                                       self._container)
        self._owned.atexit = False

    def _changed(self, what: str) -> VideoDecodeError:
        return VideoDecodeError(
            self.path, f'{what} is damaged: it has changed since it was '
            'written or indexed', 'Copy, download or prepare the file again, '
            'or leave it out')

    def _error(self,
               error: Exception,
               frame: Optional[int] = None) -> VideoDecodeError:
        if isinstance(error, PictureError):
            return VideoDecodeError(self.path, error.reason, error.remedy,
                                    frame)
        return VideoDecodeError(self.path, f'{type(error).__name__}: {error}',
                                REPAIR, frame)

    def _decoding_from(
            self, time: int,
            run_up: int) -> Tuple[Iterator[Tuple[Any, bool]], Any]:
        """Packets from ``run_up`` key frames before that of a time on.

        With each, whether it is what it was when the file was indexed; and
        the decoder for them.
        """
        from .film_decoder import FilmDecoder
        from .packet_sums import checked_packets
        from .seek_to_key import seek_to_key  # imports PyAV

        index = self.index
        first = max(0, index.key_number(time) - run_up)
        packets = seek_to_key(self._container, self._stream, index.key_times,
                              first)
        decoder = FilmDecoder(self.path, self._stream, from_start=first == 0)
        return checked_packets(packets, index, first), decoder

    def _decode(self, times: List[int]) -> Dict[int, np.ndarray]:
        """Frames at the given times, which ascend."""
        import av

        found = {}
        runs = {}
        for time in times:
            runs.setdefault(self.index.key_number(time), set()).add(time)
        for run in runs.values():
            for more in _MORE_RUN_UP:
                try:
                    self._open()
                    found.update(
                        self._decode_run(run, self.index.run_up + more))
                    break
                except (LookupError, av.error.FFmpegError):
                    # What a key frame in the middle of a stream takes back
                    # from the decoder is not there after a seek, which is an
                    # error like any other. From further back it is there.
                    if more == _MORE_RUN_UP[-1]:
                        raise
                    self.close()  # see FilmDecoder.renew
        return found

    def _decode_run(self, run: Set[int], run_up: int) -> Dict[int, np.ndarray]:
        """Frames at the times ``run``, of one group of pictures."""
        from .seek_to_key import decode_after_seek, sound_from

        found, unsent = {}, set(run)
        start = sound_from(self.index.key_times,
                           self.index.key_number(min(run)), run_up)
        packets, decoder = self._decoding_from(min(run), run_up)
        for packet, whole in packets:
            if not whole:
                raise self._changed(f'the packet at time {packet.pts}')
            decoder.skip_unless(packet.pts in run)
            frames = decode_after_seek(decoder, packet, start)
            unsent.discard(packet.pts)
            if not unsent and packet.size:
                frames += decoder.decode(None)
            for frame in frames:
                # Others of the group refer to a damaged one, and say nothing.
                if frame.is_corrupt and (frame.pts is None
                                         or frame.pts >= start):
                    raise LookupError(f'the frame at time {frame.pts} is '
                                      'damaged')
                if frame.pts in run:
                    found[frame.pts] = self.to_rgb(frame)
            if not unsent:
                break
        if not found.keys() >= run:
            raise LookupError(f'no frame at time {min(run - found.keys())} '
                              'came out of the decoder')
        return found

    def _skipping(self, packets: Iterator, decoder: Any, first: int,
                  last: int) -> Iterator:
        """Packets, to be decoded at once; pictures outside may be left out."""
        for packet, whole in packets:
            decoder.skip_unless(packet.pts is not None
                                and first <= packet.pts <= last)
            yield packet, whole


def _keep_if_foreign(pid: int, container: Any) -> None:
    if pid != os.getpid():
        _foreign.append(container)
