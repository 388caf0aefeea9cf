from os import PathLike
from pathlib import Path
from typing import List, Union

from .read_image import is_hidden


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


def read_split(folder: Union[str, PathLike], split: str) -> List[str]:
    """The names of a split, from the list of its name.

    Args:
        folder (str | Path): Where the lists are, ``SPLIT.txt``.
        split (str): Such as 'val'.

    Returns:
        list[str]: See :func:`read_names`.

    Raises:
        ValueError: If there is no such split; those there are are named.
    """
    path = Path(folder) / f'{split}.txt'
    if not path.is_file() or not path.read_bytes().strip():
        there = sorted(
            path.stem for path in Path(folder).glob('*.txt')
            if not is_hidden(path.name))
        raise ValueError(
            f'split must be one of {there}, but got one whose list {path} is '
            f'missing or empty: check root and split={split!r}')
    return read_names(path)


def names_below(folder: Union[str, PathLike], suffix: str) -> List[str]:
    """The names of the files in a folder, at any depth.

    Args:
        folder (str | Path): Hidden files and folders in it are left out.
        suffix (str): How the files end; it is cut off.

    Returns:
        list[str]: In alphabetical order, with '/' between folders.

    Raises:
        ValueError: If there is none.
    """
    names = []
    for path in sorted(Path(folder).rglob(f'*{suffix}')):
        name = path.relative_to(folder).as_posix()
        if not any(is_hidden(part) for part in name.split('/')):
            names.append(name[:-len(suffix)])
    if not names:
        raise ValueError(f'{folder} must hold files that end in {suffix}, but '
                         'there is none: check root and split')
    return names
