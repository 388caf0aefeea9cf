import os
from collections import OrderedDict
from typing import Dict, Optional

from dora_mm.video.file_identity import file_identity
from .build_reader import build_reader, choose_reader, reader_class
from .video_info import VideoInfo
from .video_reader import VideoReader


class ReaderPool:
    """Open files of one process, at most ``max_open`` of them.

    The file used longest ago is closed first. The pool may be copied to other
    processes, by fork or by pickle: each opens its own files.

    Args:
        reader (dict, optional): Config of the readers, see
            :func:`build_reader`. Defaults to None.
        max_open (int): Most files open at a time. Defaults to 4.

    Raises:
        ValueError: If ``max_open`` is below 1 or the reader is unknown.
    """

    def __init__(self,
                 reader: Optional[dict] = None,
                 max_open: int = 4) -> None:
        if max_open < 1:
            raise ValueError(
                f'max_open must be at least 1, but got {max_open}')
        if reader is not None:
            reader_class(reader)  # refuses a wrong one
        self.reader = reader
        self.max_open = max_open
        self._readers: 'OrderedDict[str, VideoReader]' = OrderedDict()
        self._pid = os.getpid()
        # Of the files that the clips were counted in.
        self._identities: Dict[str, dict] = {}

    def __len__(self) -> int:
        return len(self._readers)

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _readers=OrderedDict())

    def check_video(self, info: VideoInfo) -> None:
        """Refuse a file that its reader is known to fail on.

        From now on the file must stay as it is, see :meth:`check_unchanged`.

        Args:
            info (VideoInfo): The file's description.

        Raises:
            ValueError: Naming the file and the remedy.
        """
        self._identities[info.path] = file_identity(info.path)
        cls = reader_class(self.reader) if self.reader else choose_reader(info)
        cls.check_video(info)

    def check_unchanged(self, path: str) -> None:
        """Refuse a file that is no longer the one that was checked.

        Its clips were counted in the old one, and processes that opened it
        earlier still read that. So no other clip takes the place of one.

        Args:
            path (str): The file.

        Raises:
            RuntimeError: If it was checked, and has changed since.
        """
        known = self._identities.get(path)
        if known is None:
            return
        try:
            found = file_identity(path)
        except OSError:
            return  # which the reader says
        if found != known:
            raise RuntimeError(
                f'{path!r} must stay as it is while a run reads it, but it '
                'has been replaced or changed since the run began: leave the '
                'videos alone, and go on with --resume')

    def get(self, path: str) -> VideoReader:
        """Reader of a file, open if it was used lately.

        Args:
            path (str): The file.

        Returns:
            VideoReader: The reader, owned by the pool.

        Raises:
            RuntimeError: See :meth:`check_unchanged`; of a file that is
                opened.
        """
        if self._pid != os.getpid():
            self._readers = OrderedDict()
            self._pid = os.getpid()
        if path not in self._readers:
            self.check_unchanged(path)
            # First make room: two open 4K decoders are gigabytes.
            while len(self._readers) >= self.max_open:
                self._readers.popitem(last=False)[1].close()
            self._readers[path] = build_reader(path, self.reader)
        self._readers.move_to_end(path)
        return self._readers[path]

    def close(self) -> None:
        """Close all files that this process has opened."""
        if self._pid == os.getpid():
            for reader in self._readers.values():
                reader.close()
            self._readers.clear()
