import os
from typing import Union


def file_identity(path: Union[str, os.PathLike]) -> dict:
    """What tells whether a file is still the same: name, size and time.

    The index, the parts and the manifest of a video hold it.

    Args:
        path (str | Path): The file.

    Returns:
        dict: ``name``, ``bytes`` and ``mtime_ns``.

    Raises:
        OSError: If there is no such file.
    """
    status = os.stat(path)
    return dict(
        name=os.path.basename(path),
        bytes=status.st_size,
        mtime_ns=status.st_mtime_ns)
