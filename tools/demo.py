"""Pretrain a tiny DoRA on the CPU in minutes, and show what it tracks.

Without a video it makes one. An interrupted demo goes on where it stopped;
remove the folder of its results to train anew.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.run_main import run_main
from dora_mm.video.demo_video import make_demo_video
from dora_mm.video.readers.probe_video import probe_video
from dora_mm.video.video_files import find_video_files

CLIPS_AN_EPOCH = 84


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'video',
        nargs='?',
        help='video file or folder of them (default: generate one)')
    parser.add_argument(
        '--out-dir',
        help='folder for the results (default: work_dirs/demo/<video>)')
    return parser.parse_args(argv)


def run(name: str, *args: object) -> None:
    """Run a program of dora_mm in a process of its own.

    Raises:
        SystemExit: With its status if it fails; it has said why.
    """
    status = subprocess.run(
        [sys.executable, '-m', 'dora_mm', name, *map(str, args)]).returncode
    if status:
        raise SystemExit(status)


def read_losses(folder: Path) -> Dict[int, float]:
    """Losses that a run has logged, over all its starts.

    Args:
        folder (Path): Its work folder.

    Returns:
        dict[int, float]: Iteration to mean loss since the one before, in the
        order of the iterations.
    """
    losses = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if 'loss' in entry:
                losses[entry['step']] = entry['loss']
    return dict(sorted(losses.items()))


def first_and_last(losses: Dict[int, float]) -> Tuple[float, float]:
    """Means of the first and of the last three losses."""
    values = list(losses.values())
    return sum(values[:3]) / len(values[:3]), sum(values[-3:]) / len(
        values[-3:])


def demo(video: Optional[str], out_dir: Optional[str]) -> None:
    """Make a video if there is none, pretrain on it, publish, draw tracks.

    Args:
        video (str, optional): A file or a folder.
        out_dir (str, optional): For the results.

    Raises:
        ValueError: If there is no such video.
        RuntimeError: If the loss has not fallen.
    """
    started = time.monotonic()

    def step(text: str) -> None:
        print(f'== {text} ({time.monotonic() - started:.0f} s)', flush=True)

    home = Path('work_dirs/demo')
    if video is None:
        video = home / 'generated.mp4'
        if not video.exists():
            step(f'make {video}')
            make_demo_video(video)
    files = find_video_files(video)
    name = Path(video).resolve()
    out = Path(out_dir or home / (name.name if name.is_dir() else name.stem))

    check_output_folder('--out-dir', out)
    step(f'pretrain on {video}')
    frames = sum(probe_video(file).num_frames for file in files)
    run('train', 'dora/vit-t16_demo', '--work-dir', out, '--resume',
        '--cfg-options', f'train_dataloader.dataset.video={video}',
        'train_dataloader.dataset.start_stride='
        f'{max(frames // CLIPS_AN_EPOCH, 1)}')
    step('publish the backbone')
    checkpoint = out / (out / 'last_checkpoint').read_text()
    for path in out.glob('backbone_*.pth'):
        path.unlink(missing_ok=True)
    run('publish', checkpoint, out / 'backbone.pth')
    step('draw the tracked objects')
    run('visualize', files[0], checkpoint, '--out-dir', out / 'tracks',
        '--num-clips', 4)

    step('compare the loss at the beginning and at the end')
    losses = read_losses(out)
    first, last = first_and_last(losses)
    print(f'loss      {first:.2f} -> {last:.2f} (means of the first and last '
          f'30 of {max(losses)} iterations)')
    for kind, pattern in (('checkpoint', checkpoint.name),
                          ('backbone', 'backbone_*.pth'),
                          ('pictures', 'tracks/*_overview.png'),
                          ('video', 'tracks/*.mp4')):
        for path in sorted(out.glob(pattern)):
            print(f'{kind:11}{path}')
    if last >= first:
        raise RuntimeError(f'the loss must fall, but went from {first:.2f} to '
                           f'{last:.2f}: remove {out} and run again')
    step('done')


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    demo(args.video, args.out_dir)


if __name__ == '__main__':
    run_main(main)
