import os.path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a tool's --help needs no mmengine
    from mmengine.config import Config


def read_config(path: str) -> 'Config':
    """Read a config that a user names.

    Args:
        path (str): The file.

    Returns:
        Config: Its settings.

    Raises:
        ValueError: If there is no such file, or it is not a config: what is
            wrong in it, or in one that it is based on, with the name.
    """
    if not os.path.isfile(path):
        raise ValueError(f'config must be a file, but got {path}: '
                         '"dora-mm configs" lists those of dora_mm')
    from mmengine.config import Config
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program
        reason = (str(error).strip() or 'no reason').splitlines()[0]
        raise ValueError(
            f'config must be a file that mmengine reads, but got {path}, with '
            f'{type(error).__name__}: {reason}') from error
