import os
import uuid
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator, Union


@contextmanager
def atomic_file(path: Union[str, Path]) -> Iterator[SimpleNamespace]:
    """Write a file that is there whole or not at all.

    The body writes ``file.temporary``, a neighbour with the same extension,
    which is synced and moved to ``file.path`` at the end; the body may change
    that name. Any failure removes the temporary file and leaves an old one as
    it was.

    Args:
        path (str | Path): The file, replaced if it exists.

    Yields:
        SimpleNamespace: ``temporary`` and ``path``, both ``Path``.

    Raises:
        OSError: If it cannot be written, a full disk say; it names the file.
    """
    path = Path(path)
    temporary = path.with_name(
        f'.{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}')
    file = SimpleNamespace(temporary=temporary, path=path)
    try:
        yield file
        _sync(temporary)
        os.replace(temporary, file.path)
    except OSError as error:
        if not error.errno or error.filename not in (None, str(temporary)):
            raise
        # A write says no name, and an error of PyAV takes none.
        raise OSError(error.errno, error.strerror, str(file.path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)  # the rename itself survives a power cut


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
