import sys
import time
from typing import Sequence

from .video_preparation import VideoPreparation

_SECONDS_BETWEEN_LINES = 30.


class ProgressReport:
    """Says how far the videos are: bars in a terminal, lines in a log.

    Args:
        preparations (Sequence[VideoPreparation]): The videos.
        counts (Sequence[int]): Frames done of each, which grow.
    """

    def __init__(self, preparations: Sequence[VideoPreparation],
                 counts: Sequence[int]) -> None:
        self._preparations = preparations
        self._counts = counts
        self._start = self._last_line = time.monotonic()
        self._bars = _make_bars() if sys.stderr.isatty() else None
        self._tasks: list = []

    def __enter__(self) -> 'ProgressReport':
        if self._bars is not None:
            self._bars.start()
            self._tasks = [
                self._bars.add_task(p.name, total=None, state=p.state)
                for p in self._preparations
            ]
        return self

    def __exit__(self, *exc_info) -> None:
        if self._bars is not None:
            self.update()
            self._bars.stop()

    def update(self) -> None:
        """Say what is new; to be called about twice a second."""
        if self._bars is not None:
            for task, p, count in zip(self._tasks, self._preparations,
                                      self._counts):
                self._bars.update(
                    task, total=p.num_frames, completed=count, state=p.state)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            for p, count in zip(self._preparations, self._counts):
                if p.state == 'encoding':
                    print(self._line(p, count), file=sys.stderr, flush=True)

    def _line(self, preparation: VideoPreparation, count: int) -> str:
        total = preparation.num_frames
        line = f'{preparation.name}: {count} of {total} frames'
        if count:
            elapsed = self._last_line - self._start
            minutes = elapsed * (total - count) / count / 60
            line += f', about {minutes:.0f} min to go'
        return line


def _make_bars():
    # A heavy import that a log does not need.
    from rich.console import Console
    from rich.progress import (BarColumn, MofNCompleteColumn, Progress,
                               TextColumn, TimeRemainingColumn)

    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('frames, {task.fields[state]}'),
        TimeRemainingColumn(),
        console=Console(stderr=True))
