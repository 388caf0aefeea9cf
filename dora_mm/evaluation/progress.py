import sys
import time
from typing import Any, Iterator, Sequence

from mmengine.dist import is_main_process
from rich.progress import track

_SECONDS = 30  # from one line to the next, where there is no terminal


def progress(items: Sequence, text: str) -> Iterator[Any]:
    """Show how far a loop is, on the first rank: a bar, or lines in a log.

    Args:
        items (Sequence): What to go through, with a length.
        text (str): What it is.

    Yields:
        object: The items.
    """
    if not is_main_process():
        yield from items
        return
    if sys.stderr.isatty():
        yield from track(items, text, total=len(items))
        return
    start = last = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if number and now - last >= _SECONDS:
            rest = (now - start) / number * (len(items) - number)
            print(
                f'{text}: {number} of {len(items)}, about {rest / 60:.1f} '
                'minutes left',
                file=sys.stderr,
                flush=True)
            last = now
        yield item
