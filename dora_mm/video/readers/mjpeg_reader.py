import os
from typing import List, Optional, Sequence

import numpy as np

from .packet_sums import own_sum_fits, packet_sum
from .video_decode_error import VideoDecodeError
from .video_info import VideoInfo
from .video_reader import VideoReader

_REMEDY = ('Make the file anew with python tools/prepare_video.py, or leave '
           'it out')


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
            if own_sum_fits(jpeg) is False:
                raise self._error(
                    f'the JPEG of frame {number} is damaged: its checksum '
                    'differs', int(number))
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


def decode_jpegs(jpegs: Sequence[bytes], path: str,
                 indices: Sequence[int]) -> np.ndarray:
    """Decode JPEGs of one size into one array.

    Args:
        jpegs (Sequence[bytes]): T of them, at least one.
        path (str): Where they come from, for the error.
        indices (Sequence[int]): Their frame numbers, likewise.

    Returns:
        np.ndarray: RGB frames, uint8 (T, H, W, 3).

    Raises:
        VideoDecodeError: If one is damaged.
    """
    import simplejpeg

    clip = None
    for t, (jpeg, number) in enumerate(zip(jpegs, indices)):
        try:
            if clip is None:
                size = simplejpeg.decode_jpeg_header(jpeg)[:2]
                clip = np.empty((len(jpegs), *size, 3), np.uint8)
            simplejpeg.decode_jpeg(jpeg, buffer=clip[t])
        except ValueError as error:
            raise VideoDecodeError(
                path, f'the JPEG of frame {number} is damaged: {error}',
                _REMEDY, int(number)) from error
    return clip
