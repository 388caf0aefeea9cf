"""An audit of videos as a page, pictures and a config to start from."""
import re
from pathlib import Path
from typing import List, Sequence
from urllib.parse import quote, unquote

import numpy as np

from dora_mm.apis.audit_plan import AuditPlan
from dora_mm.apis.video_audit import AuditedVideo
from dora_mm.utils.atomic_file import atomic_file
from dora_mm.utils.counted import counted
from dora_mm.utils.write_text import write_text

_COLUMNS = ('video', 'minutes', 'useful', 'prepared size', 'frames a second',
            'cuts', 'blank s', 'frozen s', 'undecodable s', 'lightness',
            'motion', 'novelty', 'half-life s', 'clips')
_CONFIG = """# Written by dora-mm audit: {recipe} on {what}.
# 1. dora-mm prepare {sources} --out-dir {store}
# 2. dora-mm train {path}
_base_ = __import__('dora_mm').config_path({recipe!r})

train_dataloader = dict(
    dataset=dict(
        video={store!r},{frame_stride}
        frame_interval={interval}))
"""
_PAGE = """# Audit of {what}

For the recipe `{recipe}`.

| | |
|---|---|
{facts}

{advice}
The interval is a rule of thumb, not compared with training: the time in which
half of what changes in a picture has changed, from 0.1 to 2 s, shorter where
less than half of the frames could begin a clip otherwise.

`{config}` is the recipe with these videos and this interval:

```bash
dora-mm prepare {sources} --out-dir {store}
dora-mm train {config} --work-dir work_dirs/{name}
```

## Videos

{head}
{rule}
{rows}

Lightness is the mean L* of CIE, 0 to 100. Motion is the mean length of the
optical flow, in widths of the picture a second. Novelty is how little a
picture resembles all that came 10 s before or earlier: 0 is seen, 1 new.
Below, lines in red are cuts, grey is left out of training; correlation is that
of a picture with a later one of its shot.

{pictures}
"""

_UNKNOWN = dict(
    lightness='there is no frame',
    motion='no two samples follow one another in a shot',
    novelty='it looks back 10 s, and the video is shorter')


def write_audit(plan: AuditPlan, folder: Path) -> None:
    """Write ``README.md``, ``config.py`` and a picture of each video.

    Args:
        plan (AuditPlan): What to write of.
        folder (Path): Made if need be.

    Raises:
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_pictures(folder)
    pictures = []
    for number, video in enumerate(plan.videos):
        name = f'{number:03d}_{Path(video.path).stem}.png'
        with atomic_file(folder / name) as file:
            plot_video(video, file.temporary)
        # what Markdown reads otherwise: spaces, brackets
        pictures.append(f'### {Path(video.path).name}\n\n![]({quote(name)})')
    config = folder / 'config.py'
    write_text(
        config,
        _CONFIG.format(
            recipe=plan.recipe,
            what=_what(plan),
            sources=plan.sources,
            store=plan.store,
            path=config,
            frame_stride='\n        frame_stride=None,' * plan.has_stride,
            interval=plan.interval))
    write_text(folder / 'README.md', _page(plan, config, pictures))


def _remove_pictures(folder: Path) -> None:
    """Those that the page of an earlier audit in the folder shows."""
    page = folder / 'README.md'
    text = page.read_text() if page.is_file() else ''
    if text.startswith('# Audit of'):
        for name in re.findall(r'^!\[\]\((\d{3,}_[^/]*\.png)\)$', text, re.M):
            (folder / unquote(name)).unlink(missing_ok=True)


def _page(plan: AuditPlan, config: Path, pictures: List[str]) -> str:
    return _PAGE.format(
        what=_what(plan),
        recipe=plan.recipe,
        facts='\n'.join(f'| {name} | {value} |'
                        for name, value in plan.facts().items()),
        advice=_advice(plan),
        config=config,
        sources=plan.sources,
        store=plan.store,
        name=Path(plan.store).name,
        head=_line(_COLUMNS),
        rule=_line(['---'] * len(_COLUMNS)),
        rows='\n'.join(_row(plan, video) for video in plan.videos),
        pictures='\n\n'.join(pictures))


def _what(plan: AuditPlan) -> str:
    return f'{counted(len(plan.videos), "video")}, {plan.sources}'


def _minutes(video: AuditedVideo, frames: int) -> float:
    return float(frames / video.fps) / 60


def _advice(plan: AuditPlan) -> str:
    """Sentences on what a reader should know before training."""
    useful = sum(v.useful_frames for v in plan.videos)
    lines = []
    if plan.num_clips == 0:
        lines.append('**No clip fits between the cuts and what is left out: '
                     'these videos cannot be trained on by this recipe.**')
    elif 2 * plan.num_clips * plan.start_stride < useful:
        lines.append('Less than half of the useful frames begin a clip: the '
                     'shots are short.')
    if sum(_minutes(v, v.useful_frames) for v in plan.videos) < 60:
        lines.append('Less than an hour is useful: expect less than of the '
                     'hours-long videos of the paper.')
    lines += [
        f'{Path(v.path).name} has {min(v.size)} pixels on its short side, '
        f'fewer than the {plan.crop_size} of a crop: what training sees is '
        'enlarged, and blurred.' for v in plan.videos
        if min(v.size) < plan.crop_size
    ]
    lines += [
        f'{Path(v.path).name} hardly changes: half of what changes takes more '
        'than 10 s, as with a camera that stands.' for v in plan.videos
        if v.half_life is None
    ]
    return ''.join(f'{line}\n\n' for line in lines)


def _row(plan: AuditPlan, video: AuditedVideo) -> str:
    left_out = video.excluded_seconds()
    cells = [
        Path(video.path).name.replace('|', '\\|'),
        f'{_minutes(video, video.num_frames):.2f}',
        f'{_minutes(video, video.useful_frames):.2f}',
        f'{video.size[0]}x{video.size[1]}', f'{float(video.fps):.5g}',
        len(video.cuts), *(f'{left_out[reason]:.1f}'
                           for reason in ('blank', 'frozen', 'undecodable')),
        f'{video.lightness.mean():.1f}',
        _mean(video.motion),
        _mean(video.novelty),
        'above 10' if video.half_life is None else f'{video.half_life:.2f}',
        f'{plan.clips_of(video):,}'
    ]
    return _line(cells)


def _line(cells: Sequence[object]) -> str:
    return f'| {" | ".join(map(str, cells))} |'


def _mean(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return f'{known.mean():.3f}' if len(known) else 'not known'


def plot_video(video: AuditedVideo, path: Path) -> None:
    """Draw a video's curves over time, and its correlation over lags.

    Args:
        video (AuditedVideo): The video.
        path (Path): PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9, 8), layout='constrained')
    FigureCanvasAgg(figure)
    rows = figure.subplots(4, 1)
    for axes, name in zip(rows, ('lightness', 'motion', 'novelty')):
        values = getattr(video, name)
        # a dot each where a line could have one end only
        axes.plot(
            video.times_of(name),
            values,
            linewidth=0.8,
            marker='.' if len(values) < 100 else None)
        if not np.isfinite(values).any():
            axes.text(
                0.5, 0.5, 'not known: ' + _UNKNOWN[name], ha='center',
                transform=axes.transAxes)
        for cut in video.cuts:
            axes.axvline(
                float(cut / video.fps), color='tab:red', linewidth=0.5)
        for begin, end, _ in video.excluded:
            axes.axvspan(
                float(begin / video.fps),
                float(end / video.fps),
                color='tab:gray',
                alpha=0.3)
        axes.set_xlim(0, float(video.num_frames / video.fps))
        axes.set_ylabel(name)
    rows[2].set_ylim(-0.05, 1.05)
    rows[2].set_xlabel('seconds')
    lags = np.arange(len(video.correlation)) * video.sample_seconds
    rows[3].plot(lags, video.correlation)
    if video.half_life is not None:
        half = float(np.interp(video.half_life, lags, video.correlation))
        rows[3].axhline(
            2 * half - 1,
            color='tab:gray',
            linestyle='--',
            label=f'unrelated pictures, {2 * half - 1:.2f}')
        rows[3].plot(
            video.half_life,
            half,
            'o',
            color='tab:green',
            label=f'half-life, {video.half_life:.2f} s: half way there')
        rows[3].legend(loc='upper right', fontsize='small')
    rows[3].set_ylabel('correlation')
    rows[3].set_xlabel('seconds between two pictures')
    figure.savefig(path, dpi=100)
