import hashlib
import io
from pathlib import Path
from typing import Dict, Mapping, Optional, Union

import numpy as np

from dora_mm.utils.atomic_file import atomic_file
from .warn import warn

_DIGEST = 32  # bytes of SHA-256, behind the archive


def save_arrays(path: Union[str, Path], arrays: Mapping[str, object]) -> None:
    """Write arrays so that any damage is noticed.

    The file is what ``numpy.savez`` writes and a digest of it, there whole or
    not at all.

    Args:
        path (str | Path): The file, replaced if it exists.
        arrays (dict): Arrays, numbers and text by name.

    Raises:
        OSError: If it cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)
    data = content.getvalue()
    with atomic_file(path) as file:
        file.temporary.write_bytes(data + hashlib.sha256(data).digest())


def load_arrays(path: Union[str, Path]) -> Optional[Dict[str, np.ndarray]]:
    """Read what :func:`save_arrays` wrote.

    Nothing of a damaged file is parsed: a bit may turn a length into
    terabytes.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, np.ndarray] | None: None if there is no such file, or, after
        a warning, if it is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError:
        return None
    data, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        warn(f'{path} is damaged, or of an older version: it is made anew')
        return None
    try:
        return _parse(data)
    except SystemError:
        # Python's parser, which numpy reads headers with, was seen to miscount
        # its recursion once in thousands of reads. The bytes are whole.
        return _parse(data)


def _parse(data: bytes) -> Dict[str, np.ndarray]:
    with np.load(io.BytesIO(data)) as saved:
        return dict(saved)
