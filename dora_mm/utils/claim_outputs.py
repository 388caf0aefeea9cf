import json
import re
from pathlib import Path
from typing import Union

from .write_json import write_json


def claim_outputs(folder: Union[str, Path], source: Union[str, Path],
                  kind: str, names: str, **facts: object) -> str:
    """Reserve the names ``{stem}_*`` in a folder for what is made of a file.

    ``{stem}_{kind}.json`` records the file and the facts. What an earlier run
    has made of the file is removed, so that all is of one run.

    Args:
        folder (str | Path): Of the outputs, made if need be.
        source (str | Path): The file that is looked at.
        kind (str): Of outputs, such as 'tracks'.
        names (str): Regular expression of what follows ``{stem}_`` in the
            names of the outputs. It must not fit those of a file that is
            called ``{stem}_*`` itself.
        **facts: Plain data to record beside it.

    Returns:
        str: ``source`` without folder and extension.

    Raises:
        ValueError: If the folder has such outputs of another file with this
            name, or prepared videos, among which a drawn film would be
            trained on.
    """
    source, folder = Path(source).resolve(), Path(folder)
    if any(folder.glob('*.mp4.json')):
        raise ValueError('--out-dir must be a folder without prepared videos, '
                         f'but got {folder}: choose another folder')
    record = folder / f'{source.stem}_{kind}.json'
    if record.is_file():
        try:
            owner = json.loads(record.read_text()).get('source')
        except (ValueError, AttributeError):
            owner = 'a file of another program'
        if owner != str(source):
            raise ValueError(
                f'--out-dir must be free of the {kind} of another '
                f'{source.stem}, but {record.name} is of {owner}: choose '
                'another folder')
        for path in folder.iterdir():
            if re.fullmatch(f'{re.escape(source.stem)}_({names})', path.name):
                path.unlink()
    write_json(record, dict(source=str(source), **facts))
    return source.stem
