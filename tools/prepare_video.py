"""Prepare hours-long videos for training: small, exact and fast to read.

    python tools/prepare_video.py Venice_4k.mp4 --out-dir data/walking_tours
    python tools/prepare_video.py --walking-tours all --out-dir data/wt

Writes OUT_DIR/NAME.mp4 (short side 600, every frame of the original, no
sound) and OUT_DIR/NAME.mp4.json (what was done, and what training leaves
out). May be killed: the same command goes on where it stopped. When it is
finished the same command does nothing.
"""
import argparse
import os
import re
import sys
from pathlib import Path

from dora_mm.utils.number_options import integer
from dora_mm.utils.run_main import run_main
from dora_mm.video.preparation.deface_video import find_deface
from dora_mm.video.preparation.prepare_settings import WRITERS, PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.reports import summary_table
from dora_mm.video.preparation.walking_tours import (download_tour, find_tour,
                                                     parse_tours)
from dora_mm.video.video_files import find_video_files


def _shard(text):
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not i/n with 1 <= i <= n, such as 1/4')
    return int(match[1]), int(match[2])


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('videos', nargs='*', help='video files or folders')
    parser.add_argument(
        '--walking-tours',
        metavar='NAMES',
        help='all, or names with commas: download them with yt-dlp')
    parser.add_argument(
        '--download-dir',
        type=Path,
        help='folder of the downloads, default OUT_DIR_originals')
    parser.add_argument('--out-dir', type=Path, required=True)
    parser.add_argument(
        '--encoding',
        choices=sorted(WRITERS),
        default=PrepareSettings.encoding,
        help='default %(default)s; h264 takes a seventh of the disk')
    parser.add_argument(
        '--short-side',
        type=integer(1),
        default=PrepareSettings.short_side,
        help='pixels, default %(default)s; a smaller video keeps its size')
    parser.add_argument(
        '--workers',
        type=integer(1),
        default=os.cpu_count(),
        help='processes, default the number of cores')
    parser.add_argument(
        '--shard',
        type=_shard,
        default=(1, 1),
        metavar='I/N',
        help='job I of N: every N-th file, or segment of a single file')
    parser.add_argument(
        '--verify-frames',
        type=integer(1),
        default=16,
        help='frames to compare with the original, default %(default)s')
    parser.add_argument(
        '--deface', action='store_true', help='blur faces with deface')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace results of other settings or sources, and damaged ones')
    args = parser.parse_args(args)
    if bool(args.videos) == bool(args.walking_tours):
        parser.error('name either videos or --walking-tours')
    return args


def find_sources(args):
    """Files to prepare, downloaded if need be; this job's, if several."""
    if args.videos:
        return find_video_files(args.videos, name='videos')
    names = parse_tours(args.walking_tours)
    folder = args.download_dir or args.out_dir.with_name(
        f'{args.out_dir.name}_originals')
    job, num_jobs = args.shard
    if len(names) > 1:
        # From here on every file is this job's.
        names, args.shard = names[job - 1::num_jobs], (1, 1)
    elif num_jobs > 1 and find_tour(names[0], folder) is None:
        raise ValueError(
            f'--download-dir must have {names[0]}, which the jobs of --shard '
            f'would all download, but got {folder}: download it first, by a '
            'run without --shard that is stopped when that is complete')
    return [download_tour(name, folder) for name in names]


def main(args=None):
    """Prepare.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If a folder cannot be made.
        RuntimeError: If a video failed; others are done before.
    """
    args = parse_args(args)
    try:
        settings = PrepareSettings(args.encoding, args.short_side, args.deface)
        if args.deface:
            find_deface()
        sources = find_sources(args)
        if not sources:
            print('nothing to do: there are fewer videos than jobs')
            return 0
        videos, errors = prepare_videos(sources, args.out_dir, settings,
                                        args.workers, args.shard,
                                        args.overwrite, args.verify_frames)
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        # At once, as after a kill, which loses no finished segment.
        os._exit(130)
    print(summary_table(videos))
    failed = [
        str(error) if path in str(error) else f'{path}: {error}'
        for path, error in errors.items()
    ]
    for sentence in failed[:-1]:
        print(f'error: {sentence}', file=sys.stderr)
    if failed:
        raise RuntimeError(failed[-1]) from list(errors.values())[-1]
    return 0


if __name__ == '__main__':
    run_main(main)
