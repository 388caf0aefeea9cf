from os import PathLike
from pathlib import Path
from typing import List, Union

from .read_image import files_below, is_hidden


def read_names(path: Union[str, PathLike]) -> List[str]:
    """The names in a list of a data set, one a line.

    Args:
        path (str | Path): Text in UTF-8; with or without a byte order mark,
            ends of lines of any system, blank lines.

    Returns:
        list[str]: In the order of the file.

    Raises:
        ValueError: If the list cannot be read or is empty, or a name is there
            twice.
    """
    try:
        text = Path(path).read_text(encoding='utf-8-sig')
    except (OSError, UnicodeError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f'{path} must name something, but is empty: get the '
                         'list again')
    twice = {name for name in names if names.count(name) > 1} \
        if len(set(names)) < len(names) else ()
    if twice:
        raise ValueError(f'{path} must name each item once, but got '
                         f'{min(twice)} more often: remove the others')
    return names


def read_split(folder: Union[str, PathLike],
               split: str,
               ending: str = '.txt') -> List[str]:
    """The names of a split, from the list of its name.

    Args:
        folder (str | Path): Where the lists are, ``SPLIT.txt``.
        split (str): Such as 'val'.
        ending (str): What follows the split in the name of the list. Defaults
            to '.txt'.

    Returns:
        list[str]: See :func:`read_names`.

    Raises:
        ValueError: If there is no such split; those there are are named.
    """
    path = Path(folder) / f'{split}{ending}'
    if not path.is_file() or not path.read_bytes().strip():
        there = sorted(
            path.name[:-len(ending)]
            for path in Path(folder).glob(f'*{ending}')
            if not is_hidden(path.name))
        raise ValueError(
            f'split must be one of {there}, but got one whose list {path} is '
            f'missing or empty: check root and split={split!r}')
    return read_names(path)


def names_below(folder: Union[str, PathLike], suffix: str) -> List[str]:
    """The names of the files in a folder, at any depth.

    Args:
        folder (str | Path): Hidden files and folders in it are left out.
        suffix (str): How the files end, in small or capital letters; it is
            cut off.

    Returns:
        list[str]: In alphabetical order, with '/' between folders.

    Raises:
        ValueError: If there is none; if the folder does not exist, those
            beside it are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        there = sorted(
            path.name for path in folder.parent.glob('*')
            if path.is_dir() and not is_hidden(path.name))
        raise ValueError(f'{folder} must be a folder, but is missing; beside '
                         f'it are {there}: check root and split')
    names = [
        path.relative_to(folder).as_posix()[:-len(suffix)]
        for path in files_below(folder)
        if path.name.lower().endswith(suffix.lower())
    ]
    if not names:
        raise ValueError(f'{folder} must hold files that end in {suffix}, but '
                         'there is none: check root and split')
    return names
