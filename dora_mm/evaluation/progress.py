import sys
from typing import Iterable, Sequence

from mmengine.dist import is_main_process
from rich.progress import track


def progress(items: Sequence, text: str) -> Iterable:
    """Show how far a loop is, on a terminal and on the first rank.

    Args:
        items (Sequence): What to go through, with a length.
        text (str): What it is.

    Yields:
        object: The items.
    """
    shown = is_main_process() and sys.stderr.isatty()
    return track(items, text, total=len(items), disable=not shown)
