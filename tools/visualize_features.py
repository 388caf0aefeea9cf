"""Attention maps and principal components of an image or a video.

Example: python tools/visualize_features.py walk.mp4 work_dirs/run/iter_N.pth

Writes one picture for each frame, from left to right: the frame, the three
main components of its patch features as colours (the same ones in all
frames), the attention of [CLS] in the last layer, mean and each head. Frames
of a video also become NAME_features.mp4.
"""
import argparse
from pathlib import Path

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.checkpoint_options import add_key_option
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', help='image or video file')
    parser.add_argument(
        'model',
        type=find_config,
        metavar='CHECKPOINT|CONFIG',
        help='a checkpoint, or a config file for random weights')
    add_key_option(parser)
    add_architecture_options(parser)
    parser.add_argument(
        '--size',
        type=int,
        default=224,
        help='pixels of the short side (default: 224)')
    parser.add_argument(
        '--num-frames',
        type=int,
        default=8,
        help='frames of a video (default: 8)')
    parser.add_argument(
        '--interval',
        type=float,
        default=1.,
        help='seconds between frames (default: 1)')
    parser.add_argument(
        '--start', type=float, default=0., help='first second (default: 0)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/features',
        help='folder to write to (default: work_dirs/features)')
    return parser.parse_args(args)


def visualize(args):
    """Write ``NAME_NNN.png`` and, of a video, ``NAME_features.mp4``."""
    from dora_mm.apis import DoRAInferencer
    from dora_mm.utils.claim_outputs import claim_outputs
    from dora_mm.visualization.feature_maps import feature_strip, pca_colours
    from dora_mm.visualization.write_images import write_mp4, write_png
    if Path(args.input).is_dir():
        raise ValueError('input must be an image or a video, but got the '
                         f'folder {args.input}: give one file')
    check_output_folder('--out-dir', args.out_dir)
    inferencer = DoRAInferencer(
        args.model, args.key, args.size, **given_options(args))
    found = inferencer(args.input, args.num_frames, args.interval, args.start)
    folder = Path(args.out_dir)
    name = claim_outputs(
        folder,
        args.input,
        'features',
        r'\d+\.png|features\.mp4',
        model=args.model)
    strips = [
        feature_strip(*parts)
        for parts in zip(found['frames'], found['attention'],
                         pca_colours(found['patches']))
    ]
    for number, strip in enumerate(strips):
        write_png(folder / f'{name}_{number:03}.png', strip)
    if len(strips) > 1:
        write_mp4(folder / f'{name}_features.mp4', strips, args.interval)
    print(f'{len(strips)} pictures written to {folder}')


def main(argv=None):
    visualize(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
