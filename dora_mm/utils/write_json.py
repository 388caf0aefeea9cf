import json
from pathlib import Path
from typing import Union

from .write_text import write_text


def write_json(path: Union[str, Path], data: object) -> None:
    """Write a JSON file that is there whole or not at all.

    Args:
        path (str | Path): The file; its folder is made.
        data (object): Plain data.

    Raises:
        TypeError: If it is more than plain data.
    """
    write_text(path, json.dumps(data, indent=2) + '\n')
