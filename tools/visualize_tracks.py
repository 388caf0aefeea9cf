"""Show what a DoRA model tracks in a video, as PNG and as mp4.

Example: python tools/visualize_tracks.py VIDEO work_dirs/run/epoch_100.pth

Writes NAME_clip*_frame*.png, a panel for each frame, NAME_clip*_overview.png,
NAME_tracks.mp4 and the record NAME_tracks.json; NAME is that of the video.
"""
import argparse
from pathlib import Path

from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.counted import counted
from dora_mm.utils.number_options import integer, not_negative, positive
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config

OUTPUTS = r'clip\d+_(frame\d+|overview)\.png|tracks\.mp4'


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video', help='video file')
    parser.add_argument(
        'model',
        type=find_config,
        metavar='CHECKPOINT|CONFIG',
        help='runner checkpoint, or a config file for random weights')
    parser.add_argument(
        '--config',
        type=find_config,
        help='config to use instead of the one in the checkpoint')
    parser.add_argument(
        '--start',
        type=not_negative,
        default=0.,
        help='first second (default: 0)')
    parser.add_argument(
        '--num-clips',
        type=integer(1),
        default=1,
        help='most clips, one after the other (default: 1)')
    parser.add_argument(
        '--interval',
        type=positive,
        help='seconds between frames (default: that of the config)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/tracks',
        help='folder to write to (default: work_dirs/tracks)')
    parser.add_argument(
        '--cell',
        type=integer(1),
        default=192,
        help='pixels of one picture of a panel (default: 192)')
    parser.add_argument(
        '--seed',
        type=integer(0),
        default=0,
        help='of the draw of attention heads (default: 0)')
    return parser.parse_args(args)


def visualize(args):
    """Write the pictures, their video, and a record of what was shown."""
    from dora_mm.models import ModelLoader
    from dora_mm.utils.claim_outputs import claim_outputs
    from dora_mm.visualization import TrackVisualizer
    from dora_mm.visualization.clip_tracks import (clip_settings, read_clips,
                                                   track_clip)
    from dora_mm.visualization.write_images import write_mp4, write_png
    check_output_folder('--out-dir', args.out_dir)
    loader = ModelLoader(args.model, args.config)
    model = loader.tracker()
    settings = clip_settings(loader.cfg)
    if args.interval is not None:
        settings['frame_interval'] = args.interval
    visualizer = TrackVisualizer(args.cell)
    folder = Path(args.out_dir)
    title, panels = Path(args.video).name, []
    clips = read_clips(args.video, args.num_clips, args.start, **settings)
    for number, clip in enumerate(clips):
        # not before: a wrong argument leaves no empty folder behind
        if not number:
            name = claim_outputs(
                folder, args.video, 'tracks', OUTPUTS, model=args.model)
        tracks = track_clip(model, clip.frames, args.seed)
        times = [f'{time:.2f} s' for time in clip.seconds]
        titles = [
            f'{title}  frame {index}  {time}'
            for index, time in zip(clip.indices, times)
        ]
        drawn = visualizer.draw_panels(clip.frames, tracks, titles)
        for index, panel in zip(clip.indices, drawn):
            write_png(
                folder / f'{name}_clip{number:03}_frame{index:06}.png', panel)
        write_png(folder / f'{name}_clip{number:03}_overview.png',
                  visualizer.draw_overview(clip.frames, tracks, times, title))
        panels += drawn
        gaps = clip.seconds[1:] - clip.seconds[:-1]
    write_mp4(folder / f'{name}_tracks.mp4', panels,
              float(gaps.mean()) if len(gaps) else 1.)
    print(f'{counted(len(panels), "panel")} of '
          f'{counted(number + 1, "clip")} written to {folder}')


def main(argv=None):
    visualize(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
