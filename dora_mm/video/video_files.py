"""From what a user writes as ``video`` to a list of files."""
import os
import re
from pathlib import Path
from typing import List, Sequence, Tuple, Union

VIDEO_EXTENSIONS = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi')

PathLike = Union[str, os.PathLike]


def _natural_key(path: Path) -> Tuple:
    """Sort key that puts ``walk2.mp4`` before ``walk10.mp4``."""
    pieces = re.split(r'(\d+)', str(path).lower())
    return tuple(int(p) if p.isdecimal() else p for p in pieces)


def _files_of_folder(folder: Path, name: str) -> List[Path]:
    # A leading dot marks unfinished downloads and macOS resource forks.
    files = [
        path for path in folder.rglob('*')
        if path.suffix.lower() in VIDEO_EXTENSIONS
        and not path.name.startswith('.') and path.is_file()
    ]
    if not files:
        raise ValueError(
            f'{name} must be videos, but got the folder {str(folder)!r}, with '
            f'no video found ({", ".join(VIDEO_EXTENSIONS)}): name the files '
            'themselves')
    return sorted(files, key=_natural_key)


def check_video_file(path: PathLike) -> None:
    """Refuse a file for what is not the fault of its content.

    Args:
        path (str | Path): The file.

    Raises:
        ValueError: If its name is not UTF-8, which the decoders expect, or it
            may not be read.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise ValueError(
            'the name of a video must be UTF-8, but got '
            f'{os.fsencode(path)!r}: rename the file or its folder') from None
    if os.path.exists(path) and not os.access(path, os.R_OK):
        raise ValueError(f'a video must be readable, but got {str(path)!r}: '
                         'ask its owner for permission, or chmod u+r it')


def find_video_files(video: Union[PathLike, Sequence[PathLike]],
                     data_root: PathLike = '',
                     name: str = 'video') -> List[str]:
    """List the video files that a user names.

    Args:
        video (str | Path | Sequence): One path or several. A folder stands
            for all videos below it, at any depth, in natural order (2 before
            10); a file may have any extension.
        data_root (str | Path): Folder that relative paths start from.
            Defaults to '', the working directory.
        name (str): What the user set ``video`` by, for messages. Defaults to
            'video', the argument of the data set.

    Returns:
        list[str]: Paths of existing files, in the order given.

    Raises:
        TypeError: If ``video`` is neither a path nor a sequence of paths.
        ValueError: If a path does not exist, nothing is found, or a file
            is refused by :func:`check_video_file`.
    """
    if isinstance(video, (str, os.PathLike)):
        video = [video]
    if not isinstance(video, (list, tuple)) or not all(
            isinstance(v, (str, os.PathLike)) for v in video):
        raise TypeError(f'{name} must be a path or a list of paths, but got '
                        f'{video!r}')
    files = []
    for entry in video:
        path = Path(data_root).expanduser() / Path(entry).expanduser()
        if path.is_dir():
            files.extend(_files_of_folder(path, name))
        elif path.is_file():
            files.append(path)
        else:
            root = f', and data_root, {str(data_root)!r}' if data_root else ''
            raise ValueError(
                f'{name} must be files or folders, but got {str(path)!r}, '
                f'which does not exist: check the path{root}')
    if not files:
        raise ValueError(f'{name} must be at least one file or folder, but '
                         'got an empty list: name one')
    for path in files:
        check_video_file(path)
    return [str(path) for path in files]
