import shutil
import threading
from pathlib import Path
from typing import Dict


class DiskSpace:
    """What the videos being prepared will still write, and what is free.

    Args:
        folder (Path): Folder that is written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._needed: Dict[str, int] = {}
        self._lock = threading.Lock()

    def reserve(self, name: str, num_bytes: int) -> None:
        """Announce a video.

        Args:
            name (str): The video.
            num_bytes (int): What it will still write.

        Raises:
            OSError: If that does not fit, with what the other videos will
                still write. The message names both figures.
        """
        with self._lock:
            others = sum(self._needed.values())
            free = shutil.disk_usage(self.folder).free
            if num_bytes + others > free:
                more = f', and {_size(others)} for others' if others else ''
                raise OSError(
                    f'{name} needs about {_size(num_bytes)} in '
                    f'{str(self.folder)!r} (twice its size while it is put '
                    f'together){more}, but {_size(free)} are free. Make room, '
                    "choose another --out-dir, a smaller --short-side or "
                    '--encoding h264; what is finished is kept')
            self._needed[name] = num_bytes

    def wrote(self, name: str, num_bytes: int) -> None:
        """Take away what is written by now.

        Args:
            name (str): The video.
            num_bytes (int): Written since the last call.
        """
        with self._lock:
            self._needed[name] = max(0, self._needed[name] - num_bytes)

    def release(self, name: str) -> None:
        """Forget a video that is finished or has failed.

        Args:
            name (str): The video.
        """
        with self._lock:
            self._needed.pop(name, None)


def _size(num_bytes: int) -> str:
    if num_bytes < 1e9:
        return f'{num_bytes / 1e6:.1f} MB'
    return f'{num_bytes / 1e9:.1f} GB'
