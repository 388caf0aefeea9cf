import hashlib
import os
from typing import Union

_SAMPLE = 1 << 16


def content_identity(path: Union[str, os.PathLike]) -> dict:
    """What tells a file wherever it lies: name, size and a sample of it.

    A copy has the same, and a file that was mounted anew or has another time
    of change. Manifests of videos and the facts of a run hold it.

    Args:
        path (str | Path): The file.

    Returns:
        dict: ``name``; ``bytes``; ``sample_sha256``, of 64 KiB each at the
        beginning, the middle and the end.

    Raises:
        OSError: If it cannot be read.
    """
    size = os.stat(path).st_size
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for place in (0, size // 2, max(size - _SAMPLE, 0)):
            file.seek(place)
            digest.update(file.read(_SAMPLE))
    return dict(
        name=os.path.basename(path),
        bytes=size,
        sample_sha256=digest.hexdigest())
