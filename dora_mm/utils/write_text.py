from pathlib import Path
from typing import Union

from .atomic_file import atomic_file


def write_text(path: Union[str, Path], text: str) -> None:
    """Write a text file that is there whole or not at all.

    Args:
        path (str | Path): The file; its folder is made.
        text (str): All of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.temporary.write_text(text, encoding='utf-8')
