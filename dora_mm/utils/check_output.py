"""Whether what a tool is going to write can be written, before its work."""
import tempfile
from pathlib import Path
from typing import Optional, Union


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
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        wanted, reason = 'a place that can be written to', error.strerror
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            wanted, reason = 'a folder', 'a part of the path is a file'
            if given is not None:
                wanted = 'in a folder'
        raise ValueError(f'{name} must be {wanted}, but got {given or folder} '
                         f'({reason}): choose another') from error


def check_output_folder(name: str, folder: Union[str, Path]) -> None:
    """The same, and what was made is removed again.

    Args:
        name (str): Option or argument, for the message.
        folder (str | Path): Need not be there.

    Raises:
        ValueError: With the option, the folder and the reason.
    """
    folder = Path(folder)
    missing = [p for p in (folder, *folder.parents) if not _is_there(p)]
    try:
        make_output_folder(name, folder)
    finally:
        for path in missing:
            try:
                path.rmdir()
            except OSError:  # never made, or in use by another program
                break


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


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # below a folder that cannot be read
        return False
