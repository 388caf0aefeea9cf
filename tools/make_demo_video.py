"""Make a small video with moving objects, for a demo without any download.

Example: python tools/make_demo_video.py demo.mp4 --num-frames 480
"""
import argparse

from dora_mm.utils.check_output import check_output_file
from dora_mm.utils.number_options import integer
from dora_mm.utils.run_main import run_main
from dora_mm.video.demo_video import make_demo_video


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('path', help='file to write, ending in .mp4')
    parser.add_argument('--num-frames', type=integer(1), default=480)
    parser.add_argument(
        '--size',
        type=integer(1),
        nargs=2,
        default=(480, 270),
        metavar=('WIDTH', 'HEIGHT'),
        help='pixels, even numbers')
    parser.add_argument('--fps', type=integer(1), default=24)
    parser.add_argument('--num-objects', type=integer(0), default=6)
    parser.add_argument('--seed', type=integer(0), default=0)
    return parser.parse_args(args)


def main(args=None):
    args = parse_args(args)
    check_output_file('path', args.path)
    path = make_demo_video(args.path, args.num_frames, tuple(args.size),
                           args.fps, args.num_objects, args.seed)
    print(f'wrote {path} ({path.stat().st_size / 1e6:.1f} MB)')


if __name__ == '__main__':
    run_main(main)
