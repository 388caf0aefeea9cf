import json
import os
import re
from pathlib import Path
from typing import Dict, Union

from .hold_folder import try_lock

# The open records of this process, by path: each is locked until the process
# ends, or claims it once more.
_records: Dict[Path, int] = {}


def claim_outputs(folder: Union[str, Path], source: Union[str, Path],
                  kind: str, names: str, **facts: object) -> str:
    """Reserve the names ``{stem}_*`` in a folder for what is made of a file.

    ``{stem}_{kind}.json`` records the file and the facts. What an earlier run
    has made of the file is removed, so that all is of one run. Until the
    process ends no other one gets the names.

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
            name, another process is making them, or it has prepared videos,
            among which a drawn film would be trained on.
    """
    source, folder = Path(source).resolve(), Path(folder)
    if any(folder.glob('*.mp4.json')):
        raise ValueError('--out-dir must be a folder without prepared videos, '
                         f'but got {folder}: choose another folder')
    folder.mkdir(parents=True, exist_ok=True)
    record = folder.resolve() / f'{source.stem}_{kind}.json'
    handle = _lock(record, kind, source.stem)
    text = os.pread(handle, os.fstat(handle).st_size, 0)
    if text:  # of an earlier run
        try:
            owner = json.loads(text).get('source')
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
    text = json.dumps(dict(source=str(source), **facts), indent=2) + '\n'
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)
    return source.stem


def _lock(record: Path, kind: str, stem: str) -> int:
    """Open a record that no other process has, made if need be."""
    if record in _records:
        os.close(_records.pop(record))
    # Written in place: the lock is of this file, not of one that replaces it.
    handle = os.open(record, os.O_RDWR | os.O_CREAT, 0o666)
    if not try_lock(handle):
        os.close(handle)
        raise ValueError(
            f'--out-dir must not be in use, but got {record.parent}, where '
            f'another process is writing the {kind} of {stem}: choose another '
            'folder, or wait until that has ended')
    _records[record] = handle
    return handle
