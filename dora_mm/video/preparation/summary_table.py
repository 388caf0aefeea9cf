from typing import List, Sequence

from dora_mm.video.video_manifest import VideoManifest
from .video_preparation import PreparedVideo

_MOST_RANGES = 10
_HEAD = ('file', 'frames', 'fps', 'size', 'GB', 'GB/hour', 'excluded s',
         'PSNR min/mean', 'time')


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
    fps = video.manifest.fps
    excluded = video.manifest.excluded
    for begin, end, reason in excluded[:_MOST_RANGES]:
        notes.append(f'{reason} from {float(begin / fps):.1f} s to '
                     f'{float(end / fps):.1f} s: left out of training')
    if len(excluded) > _MOST_RANGES:
        notes.append(f'and {len(excluded) - _MOST_RANGES} more stretches, see '
                     f'{VideoManifest.path_of(video.path).name}')
    return notes
