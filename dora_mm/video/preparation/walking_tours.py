import shutil
import subprocess
from pathlib import Path
from typing import List, Optional

from dora_mm.video.video_files import VIDEO_EXTENSIONS

#: The ten videos (CC-BY-4.0) by name, with their ids on YouTube.
WALKING_TOURS = dict(
    Amsterdam='E07rTPgIvn0',
    Bangkok='hUGcHvN4mME',
    Chiang_Mai='jyxIRzlkO_g',
    Istanbul='mA9lYWyXMYU',
    Kuala_Lumpur='yLTycPjm0nk',
    Singapore='aUJl46bEWYo',
    Stockholm='Jr9x-RB4E1U',
    Wildlife='Q0ML5oAjX_w',
    Venice='fGX0Te6pFvk',
    Zurich='_NmYvuEILw4')


def parse_tours(text: str) -> List[str]:
    """Names of Walking Tours as a user lists them.

    Args:
        text (str): ``'all'``, or names with commas between.

    Returns:
        list[str]: Names.

    Raises:
        ValueError: If a name is unknown.
    """
    if text == 'all':
        return list(WALKING_TOURS)
    names = [name.strip() for name in text.split(',')]
    for name in names:
        if name not in WALKING_TOURS:
            raise ValueError(f'--walking-tours {name!r} is unknown. Use '
                             f'all, or some of {", ".join(WALKING_TOURS)}')
    return names


def find_tour(name: str, folder: Path) -> Optional[str]:
    """A video that is downloaded already.

    Args:
        name (str): One of the :data:`WALKING_TOURS`.
        folder (Path): Where to look.

    Returns:
        str | None: The file, None if it is not there.
    """
    for extension in VIDEO_EXTENSIONS:
        path = folder / f'{name}{extension}'
        if path.is_file():
            return str(path)
    return None


def download_tour(name: str, folder: Path) -> str:
    """Download a video in 4K without sound, unless it is there.

    yt-dlp goes on with a download that was interrupted.

    Args:
        name (str): One of the :data:`WALKING_TOURS`.
        folder (Path): Where to put it.

    Returns:
        str: The file.

    Raises:
        ValueError: If yt-dlp is not installed or fails.
    """
    path = find_tour(name, folder)
    if path is not None:
        return path
    program = shutil.which('yt-dlp')
    if program is None:
        raise ValueError(
            f'{name} is not in {str(folder)!r}, and to download it needs the '
            'program yt-dlp. Install it with pip install yt-dlp')
    folder.mkdir(parents=True, exist_ok=True)
    # An id may begin with a hyphen.
    command = [
        program, '--format', 'bv[height<=2160]', '--output',
        str(folder / f'{name}.%(ext)s'), '--', WALKING_TOURS[name]
    ]
    status = subprocess.run(command).returncode
    path = find_tour(name, folder)
    if status or path is None:
        raise ValueError(
            f'yt-dlp did not download {name} (status {status}); its message '
            'is above. Try pip install --upgrade yt-dlp; the same command '
            'goes on where it stopped')
    return path
