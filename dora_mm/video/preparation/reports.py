import sys
import time
from typing import Dict, List, Sequence

from dora_mm.video.video_manifest import VideoManifest
from .video_preparation import PreparedVideo, VideoPreparation

_SECONDS_BETWEEN_LINES = 30.
_MOST_RANGES = 10
# Of a video that is done before the rest is estimated.
_LEAST_SHARE = 0.02
# States in which frames are counted.
_COUNTED = ('encoding', 'looking for cuts', 'looking')
_HEAD = ('file', 'frames', 'fps', 'size', 'GB', 'GB/hour', 'excluded s',
         'cuts', 'PSNR min/mean', 'time')


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
        self._last_line = time.monotonic()
        # When the frames of a video began to be counted.
        self._begun: Dict[int, float] = {}
        self._bars = _make_bars() if sys.stderr.isatty() else None
        self._tasks: list = []

    def __enter__(self) -> 'ProgressReport':
        if self._bars is not None:
            self._bars.start()
            self._tasks = [
                self._bars.add_task(
                    p.name, total=None, state=p.state, start=False)
                for p in self._preparations
            ]
        self._note_begun()
        return self

    def __exit__(self, *exc_info) -> None:
        if self._bars is not None:
            self.update()
            self._bars.stop()

    def update(self) -> None:
        """Say what is new; to be called about twice a second."""
        self._note_begun()
        if self._bars is not None:
            for task, p, count in zip(self._tasks, self._preparations,
                                      self._counts):
                self._bars.update(
                    task, total=p.num_frames, completed=count, state=p.state)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            for number, begun in self._begun.items():
                p = self._preparations[number]
                if p.state in _COUNTED:
                    line = self._line(p, self._counts[number], begun)
                    print(line, file=sys.stderr, flush=True)

    def _note_begun(self) -> None:
        for number, p in enumerate(self._preparations):
            if p.state in _COUNTED and number not in self._begun:
                self._begun[number] = time.monotonic()
                if self._bars is not None:
                    self._bars.start_task(self._tasks[number])

    def _line(self, preparation: VideoPreparation, count: int,
              begun: float) -> str:
        total = preparation.num_frames
        line = f'{preparation.name}: {count} of {total} frames'
        # Before that the time to start is most of what was measured.
        if count >= _LEAST_SHARE * total:
            elapsed = self._last_line - begun
            seconds = elapsed * (total - count) / count
            line += f', about {seconds / 60:.0f} min to go' \
                if seconds > 90 else f', about {seconds:.0f} s to go'
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


def summary_table(videos: Sequence[PreparedVideo]) -> str:
    """What was prepared, as text.

    Args:
        videos (Sequence[PreparedVideo]): The videos.

    Returns:
        str: A table, with a line for each note below.
    """
    rows = [_HEAD, *(_row(v) for v in videos if v.manifest is not None)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    if len(rows) > 1:
        lines = [
            '  '.join([row[0].ljust(widths[0])] +
                      [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
            for row in rows
        ]
    for video in videos:
        lines += [f'{video.path.name}: {text}' for text in _notes(video)]
    return '\n'.join(lines)


def _row(video: PreparedVideo) -> tuple:
    m = video.manifest
    hours = m.num_frames / m.fps / 3600
    excluded = sum(end - begin for begin, end, _ in m.excluded) / m.fps
    minutes, seconds = divmod(round(video.seconds), 60)
    return (video.path.name, str(m.num_frames), f'{float(m.fps):.5g}',
            f'{m.width}x{m.height}', f'{m.bytes / 1e9:.3g}',
            f'{m.bytes / 1e9 / hours:.3g}', f'{float(excluded):.1f}',
            str(len(m.cuts)),
            f'{m.verified["psnr_min"]}/{m.verified["psnr_mean"]}',
            f'{minutes}:{seconds:02d}')


def _notes(video: PreparedVideo) -> List[str]:
    if video.manifest is None:
        return [
            f'its segments of this job are done; it waits for '
            f'{video.waits_for}'
        ]
    notes = list(video.manifest.notes)
    if video.status == 'was finished':
        notes.insert(0, 'was finished already; nothing was done')
    if video.status == 'cuts added':
        notes.insert(0, 'was finished already; its shot cuts were added')
    fps = video.manifest.fps
    excluded = video.manifest.excluded
    for begin, end, reason in excluded[:_MOST_RANGES]:
        notes.append(f'{reason} from {float(begin / fps):.1f} s to '
                     f'{float(end / fps):.1f} s: left out of training')
    if len(excluded) > _MOST_RANGES:
        notes.append(f'and {len(excluded) - _MOST_RANGES} more stretches, see '
                     f'{VideoManifest.path_of(video.path).name}')
    return notes
