"""Where the configs that are shipped with dora_mm lie."""
from argparse import ArgumentTypeError
from difflib import get_close_matches
from pathlib import Path
from typing import List

PACKAGE_DIR = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """Find the folder of the shipped configs.

    Returns:
        Path: ``.mim/configs`` inside the package (installed), else
        ``configs`` beside the package (a checkout that was not installed).

    Raises:
        FileNotFoundError: There is neither.
    """
    for folder in (PACKAGE_DIR / '.mim' / 'configs',
                   PACKAGE_DIR.parent / 'configs'):
        if folder.is_dir():
            return folder.resolve()
    raise FileNotFoundError(
        f'{PACKAGE_DIR} holds no .mim/configs and no configs folder lies '
        'beside it: this installation is incomplete. Run: pip install '
        '--force-reinstall --no-deps dora-mm')


def tool_path(name: str) -> Path:
    """Give the path of a program of the folder ``tools``.

    Args:
        name (str): Path below that folder, such as ``'train.py'``.

    Returns:
        Path: The file, beside the configs of :func:`config_root`.
    """
    return config_root().parent / 'tools' / name


def list_configs() -> List[str]:
    """List the names that :func:`config_path` accepts, base files aside."""
    root = config_root()
    names = (path.relative_to(root) for path in root.rglob('*.py'))
    return sorted(name.as_posix() for name in names
                  if '_base_' not in name.parts)


def config_path(name: str) -> str:
    """Give the path of a config that is shipped with dora_mm.

    mmengine evaluates the right-hand side of ``_base_``, so
    ``_base_ = __import__('dora_mm').config_path('dora/vit-s16_wt.py')`` works
    in a config that is read by any program.

    Args:
        name (str): Path below the configs folder, such as
            ``'dora/vit-s16_wt.py'``. The ending ``.py`` may be left out.

    Returns:
        str: Absolute path of the file.

    Raises:
        ValueError: No config has this name.
    """
    root = config_root()
    file_name = name if name.endswith('.py') else f'{name}.py'
    path = root / file_name
    if not path.is_file():
        raise ValueError(
            f'name must be a config of dora_mm, but got {name!r}: give one of '
            f'{", ".join(list_configs())}')
    return str(path)


def find_config(name: str) -> str:
    """Let a command line name a shipped config where it takes a file.

    Args:
        name (str): A path, or a name that :func:`config_path` accepts.

    Returns:
        str: The path of the shipped config; ``name`` itself if it is a file,
        or nothing like a config of ours: who reads it says what it must be.

    Raises:
        ArgumentTypeError: If it nearly is the name of a shipped config.
    """
    if Path(name).exists():
        return name
    try:
        return config_path(name)
    except ValueError:
        names = [config[:-len('.py')] for config in list_configs()]
        near = get_close_matches(name.removesuffix('.py'), names, 1, 0.8)
        if near:
            raise ArgumentTypeError(
                f'it must be a file or the name of a config, but got {name}: '
                f'did you mean {near[0]}?') from None
        return name


def register_config_packages() -> None:
    """Make ``_base_ = 'dora_mm::...'`` and ``'mmseg::...'`` known to mmengine.

    mmengine resolves such a name by a fixed table, whose value it looks up as
    a distribution and then as a module.
    """
    # Imported here, so that the versions are checked before.
    from mmengine.config.utils import MODULE2PACKAGE
    from mmengine.utils import is_installed

    # Only the module name serves a wheel and an editable install alike.
    MODULE2PACKAGE.setdefault('dora_mm', 'dora_mm')
    # The stock entry does not find OneDL's 'onedl-mmsegmentation'.
    if not is_installed('mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'mmseg'
