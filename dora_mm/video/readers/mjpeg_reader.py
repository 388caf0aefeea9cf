import os
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import simplejpeg

from .cut_jpegs import Box, cut_jpegs
from .packet_sums import is_sound, own_sum_fits, packet_sum
from .video_decode_error import VideoDecodeError
from .video_info import VideoInfo
from .video_reader import VideoReader

_REMEDY = ('Make the file anew with python tools/prepare_video.py '
           '--overwrite, or leave it out')


class MJPEGReader(VideoReader):
    """Frames of a file in which every frame is a JPEG: a prepared video.

    The saved index says where each JPEG lies, so a read costs no more than
    its own frames: their bytes are read at their place and decoded by
    libjpeg-turbo. Nothing but a file descriptor is kept open.

    Args:
        path (str): The file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._file = None

    @classmethod
    def check_video(cls, info: VideoInfo) -> None:
        """See :meth:`VideoReader.check_video`."""
        if not info.is_jpeg:
            raise ValueError(
                f'video must be a file of JPEGs, but got {info.path!r}, which '
                f'is {info.codec}: prepare it by python tools/'
                f'prepare_video.py {info.path} --out-dir DIR, or let '
                'dora_mm.LoadClipFromVideo choose the reader')

    def get_frames(self, indices: Sequence[int]) -> np.ndarray:
        """See :meth:`VideoReader.get_frames`."""
        return decode_jpegs(self.get_jpegs(indices), self.path, indices)

    def get_box(
        self, indices: Sequence[int], choose: Callable[[int, int], Box]
    ) -> Tuple[np.ndarray, Box]:
        """Decode a box of frames.

        Of a prepared video the rest of the frames is not decoded.

        Args:
            indices (Sequence[int]): T frame numbers, in
                [0, :attr:`num_frames`).
            choose (Callable): Gives the box, x, y, width and height in
                pixels, for height and width of the frames.

        Returns:
            tuple[np.ndarray, tuple[int, int, int, int]]: The pixels that
            :meth:`get_frames` has in the box, uint8 RGB (T, height, width,
            3); and the box.

        Raises:
            VideoDecodeError: If a frame is not there, cannot be read, or is
                damaged.
        """
        jpegs = self.get_jpegs(indices)
        with _named(self.path, indices[0]):
            shape = simplejpeg.decode_jpeg_header(jpegs[0])[:2]
        box = choose(*shape)
        parts, inside = cut_jpegs(jpegs, box)
        return decode_jpegs(parts, self.path, indices, inside), box

    def get_jpegs(self, indices: Sequence[int]) -> List[bytes]:
        """Read frames without decoding them.

        Args:
            indices (Sequence[int]): T frame numbers, in
                [0, :attr:`num_frames`).

        Returns:
            list[bytes]: T JPEGs whose checksums fit, where they have some.

        Raises:
            VideoDecodeError: If a frame is not there, cannot be read, or is
                damaged.
        """
        self.check_indices(indices)
        if not len(self.index.positions):
            raise self._error(f'its frames are {self.index.codec}, not JPEGs')
        jpegs = [self._read(int(i)) for i in indices]
        for jpeg, number in zip(jpegs, indices):
            if not is_sound(jpeg, self.index):
                raise self._error(
                    f'the JPEG of frame {number} is damaged: its checksum '
                    'differs, or is lost', int(number))
        return jpegs

    def close(self) -> None:
        """See :meth:`VideoReader.close`."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def has_checksum(self, number: int) -> bool:
        """Whether the JPEG of a frame holds its checksum.

        Args:
            number (int): Frame number, in [0, :attr:`num_frames`).
        """
        try:
            return own_sum_fits(self._read(number)) is not None
        except VideoDecodeError:
            return False

    def _read(self, number: int) -> bytes:
        """The JPEG of a frame."""
        try:
            if self._file is None:
                self._file = open(self.path, 'rb', buffering=0)
            size = int(self.index.sizes[number])
            data = os.pread(self._file.fileno(), size,
                            int(self.index.positions[number]))
        except OSError as error:
            self.close()
            raise self._error(f'{type(error).__name__}: {error}',
                              number) from error
        if len(data) != size:
            raise self._error(f'the file ends inside frame {number}', number)
        sums = self.index.packet_sums
        if len(sums) and sums[number] != packet_sum(
                data, int(self.index.times[number])):
            raise self._error(
                f'the JPEG of frame {number} is damaged: it has changed since '
                'the file was indexed', number)
        return data

    def _error(self,
               reason: str,
               frame: Optional[int] = None) -> VideoDecodeError:
        return VideoDecodeError(self.path, reason, _REMEDY, frame)


def decode_jpegs(jpegs: Sequence[bytes],
                 path: str,
                 indices: Sequence[int],
                 box: Optional[Box] = None) -> np.ndarray:
    """Decode JPEGs of one size into one array.

    Args:
        jpegs (Sequence[bytes]): T of them, at least one.
        path (str): Where they come from, for the error.
        indices (Sequence[int]): T, their frame numbers, for the error.
        box (tuple[int, int, int, int], optional): x, y, width, height in
            pixels of what is kept. Defaults to None, all.

    Returns:
        np.ndarray: RGB frames, uint8 (T, H, W, 3), or what is kept of them.

    Raises:
        VideoDecodeError: If one is damaged.
    """
    clip = whole = None
    for t, (jpeg, number) in enumerate(zip(jpegs, indices)):
        with _named(path, number):
            if clip is None:
                size = simplejpeg.decode_jpeg_header(jpeg)[:2]
                x, y, width, height = box or (0, 0, *size[::-1])
                clip = np.empty((len(jpegs), height, width, 3), np.uint8)
                whole = np.empty((*size, 3), np.uint8) if box else None
            buffer = clip[t] if whole is None else whole
            if simplejpeg.decode_jpeg(
                    jpeg, buffer=buffer).shape != buffer.shape:
                raise ValueError('its size is not that of the first')
        if whole is not None:
            # While the picture is in the processor's cache.
            clip[t] = whole[y:y + height, x:x + width]
    return clip


@contextmanager
def _named(path: str, number: int) -> Iterator[None]:
    """Say which frame cannot be decoded."""
    try:
        yield
    except (ValueError, KeyError) as error:
        # simplejpeg gives a KeyError for factors that it has no name for.
        raise VideoDecodeError(
            path, f'the JPEG of frame {number} is damaged: {error}', _REMEDY,
            int(number)) from error
