import json
from pathlib import Path
from typing import Any, Union


def read_json(path: Union[str, Path]) -> Any:
    """Read a file that only helps, so that its loss is no error.

    Args:
        path (str | Path): What :func:`write_json` wrote.

    Returns:
        object: Plain data; None if the file is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
