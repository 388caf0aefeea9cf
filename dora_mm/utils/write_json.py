import json
from pathlib import Path
from typing import Union

from .atomic_file import atomic_file


def write_json(path: Union[str, Path], data: object) -> None:
    """Write a JSON file that is there whole or not at all.

    Args:
        path (str | Path): The file; its folder is made.
        data (object): Plain data.

    Raises:
        TypeError: If it is more than plain data.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.temporary.write_text(json.dumps(data, indent=2) + '\n')
