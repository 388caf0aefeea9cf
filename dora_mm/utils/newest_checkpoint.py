import os
import re
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Optional, Union


def reads_whole(path: Union[str, Path]) -> bool:
    """Whether a checkpoint file is all there and undamaged.

    It is read once while it stays as it is: a run that resumes asks when it
    chooses a file and when it loads it.

    Args:
        path (str | Path): What ``torch.save`` wrote, a zip archive with
            checksums.

    Returns:
        bool: False as well if the file is missing, or no archive.
    """
    try:
        state = os.stat(path)
    except OSError:
        return False
    return _fits(str(path), state.st_size, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=32)
def _fits(path: str, *state: int) -> bool:
    """Whether the checksums fit, of the file in this state.

    The bytes are those that torch reads. Python's own reader of archives may
    find others: torch takes a member whose attributes are those of a folder
    for empty, and gives its tensor whatever is in memory.
    """
    import torch  # takes seconds, and the help of the tools needs none
    try:
        with zipfile.ZipFile(path) as archive:
            expected = sorted((info.filename.partition('/')[2], info.CRC)
                              for info in archive.infolist())
        reader = torch._C.PyTorchFileReader(path)
        return expected == sorted((name, zlib.crc32(reader.get_record(name)))
                                  for name in reader.get_all_records())
    except Exception:  # damage can raise anything
        return False


def newest_checkpoint(work_dir: Union[str, Path]) -> Optional[Path]:
    """Find what a run in this folder continues from.

    It is the file that ``last_checkpoint`` names, wherever the folder has
    been moved to; if that one is missing or damaged, the newest whole
    ``iter_*.pth`` or ``epoch_*.pth``.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        Path | None: The file; None if the folder has no checkpoint.

    Raises:
        ValueError: If there are checkpoints, but none is whole.
    """
    folder = Path(work_dir)
    numbers = {}
    for path in folder.glob('*.pth'):
        match = re.fullmatch(r'(?:iter|epoch)_(\d+)', path.stem)
        if match and os.path.isfile(path):  # a link may lead nowhere
            numbers[path] = (int(match[1]), path.stat().st_mtime)
    candidates = sorted(numbers, key=numbers.get, reverse=True)
    try:
        named = (folder / 'last_checkpoint').read_text().strip()
    except (OSError, UnicodeDecodeError):
        named = ''
    if named:
        candidates.insert(0, folder / re.split(r'[\\/]', named)[-1])
    for path in candidates:
        if os.path.isfile(path) and reads_whole(path):
            return path
    if numbers:
        raise ValueError(
            f'a checkpoint in {work_dir} must be whole, but got '
            f'{len(numbers)} damaged ones: move them away to start anew')
    return None
