"""Whether what a tool is going to write can be written, before its work."""
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Union


def make_output_folder(name: str,
                       folder: Union[str, Path],
                       given: Optional[Union[str, Path]] = None) -> None:
    """Make a folder, and try to write there.

    Permissions do not tell of file systems like /proc, nor of root.

    Args:
        name (str): Option or argument, for the message.
        folder (str | Path): Need not be there.
        given (str | Path, optional): What the user named, if not the folder.

    Raises:
        ValueError: With the option, what was given and the reason.
    """
    with _refusing(name, given or folder,
                   'a folder' if given is None else 'in a folder'):
        _write_in(Path(folder))


def check_output_folder(name: str, folder: Union[str, Path]) -> None:
    """Refuse a folder in which nothing can be written; none is made.

    Missing folders are tried beside their place, where no other process that
    asks at the same time, such as another rank, can remove or see them.

    Args:
        name (str): Option or argument, for the message.
        folder (str | Path): Need not be there.

    Raises:
        ValueError: With the option, the folder and the reason.
    """
    path = Path(os.path.abspath(folder))
    there = next(p for p in (path, *path.parents) if os.path.lexists(p))
    with _refusing(name, folder, 'a folder'):
        if there == path:
            _write_in(path)
            return
        with tempfile.TemporaryDirectory(prefix='.try-', dir=there) as trial:
            _write_in(trial / path.relative_to(there))


def check_output_file(name: str, path: Union[str, Path]) -> None:
    """Refuse a file that cannot be written; its folder is made.

    Args:
        name (str): Option or argument, for the message.
        path (str | Path): Need not be there.

    Raises:
        ValueError: With the option, the file and the reason.
    """
    if Path(path).is_dir():
        raise ValueError(f'{name} must be a file, but got {path}, where a '
                         'folder is: add the name of the file')
    make_output_folder(name, Path(path).parent, path)


def check_folder_name(name: str, value: str) -> None:
    """Refuse what is not the name of one folder in another.

    Args:
        name (str): Option or argument, for the message.
        value (str): The name.

    Raises:
        ValueError: With the option and the name.
    """
    if not value or value.startswith('.') or {'/', '\0', '\n'} & set(value):
        raise ValueError(f'{name} must be a name that a folder can have, '
                         f'without / and no dot in front, but got {value!r}: '
                         'take another')


def _write_in(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


@contextmanager
def _refusing(name: str, value: Union[str, Path],
              wanted: str) -> Iterator[None]:
    """Turn an error of writing into one that names the argument."""
    try:
        yield
    except OSError as error:
        reason = 'a part of the path is a file'
        if not isinstance(error, (FileExistsError, NotADirectoryError)):
            wanted, reason = 'a place that can be written to', error.strerror
        raise ValueError(f'{name} must be {wanted}, but got {value} '
                         f'({reason}): choose another') from error
