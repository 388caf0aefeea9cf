"""Print the path of a config that is shipped with dora_mm.

``python -m dora_mm.cfg dora/vit-s16_wt.py`` prints one path,
``python -m dora_mm.cfg`` lists the names.
"""
import sys
from typing import List, Optional

from .utils.shipped_configs import config_path, list_configs


def main(argv: Optional[List[str]] = None) -> int:
    """Print the path of the named config, or all names.

    Returns:
        int: Exit status, 2 for a wrong name or too many of them.
    """
    names = sys.argv[1:] if argv is None else argv
    if names in (['-h'], ['--help']):
        print(f'usage: python -m dora_mm.cfg [NAME]\n\n{__doc__}')
        return 0
    if len(names) > 1:
        print(f'one config name at a time, got {names}', file=sys.stderr)
        return 2
    try:
        print('\n'.join([config_path(names[0])] if names else list_configs()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
