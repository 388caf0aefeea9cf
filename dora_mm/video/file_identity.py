import os
from typing import Union


def file_identity(path: Union[str, os.PathLike]) -> dict:
    """What tells whether a file in its place was changed: name, size and time.

    What is kept of a file on the same machine holds it, as its index. What
    goes with a file elsewhere holds :func:`content_identity`.

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
