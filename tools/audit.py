"""What videos hold, and what training on them takes, before any GPU hour.

Example: dora-mm audit walks/ --store data/mine

Looks at every frame once, at the speed of decoding: length, cuts, stretches
that training leaves out, lightness, motion, novelty, and how long a picture
resembles the next. Written are README.md with a picture of each video, and
config.py, a recipe with these videos and a frame interval that suits them.
"""
import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import List, Optional

from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.measured_rates import CLIPS_PER_SECOND
from dora_mm.utils.number_options import integer
from dora_mm.utils.run_main import run_main


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('videos', nargs='+', help='video files or folders')
    parser.add_argument(
        '--recipe',
        default='dora/vit-s16_wt_1gpu',
        help='shipped config to start from (default: %(default)s)')
    parser.add_argument(
        '--gpu',
        choices=sorted(CLIPS_PER_SECOND),
        default='H100',
        help='to estimate hours for; measured ones (default: %(default)s)')
    parser.add_argument(
        '--store',
        default='data/mine',
        help='folder that the prepared videos will lie in (default: '
        '%(default)s)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/audit',
        help='folder to write to (default: %(default)s)')
    parser.add_argument(
        '--workers',
        type=integer(1),
        default=os.cpu_count(),
        help='processes, default the number of cores')
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Audit what the command line names.

    Raises:
        ValueError: An option or a video is wrong.
    """
    args = parse_args(argv)
    # Imported here: a tool's --help needs no torch.
    from dora_mm.apis.audit_page import write_audit
    from dora_mm.apis.audit_plan import AuditPlan, read_recipe
    from dora_mm.apis.video_audit import audit_video
    from dora_mm.video.video_files import find_video_files
    if args.workers < 1:
        raise ValueError('--workers must be at least 1, but got '
                         f'{args.workers}: give the number of cores')
    check_output_folder('--out-dir', args.out_dir)
    read_recipe(args.recipe)
    files = find_video_files(args.videos, name='videos')
    videos = []
    for number, file in enumerate(files, 1):
        print(f'looking at all frames of {file} ({number} of {len(files)})',
              file=sys.stderr, flush=True)
        videos.append(audit_video(file, args.workers))
    plan = AuditPlan(args.recipe, shlex.join(args.videos), args.store,
                     args.gpu, videos)
    folder = Path(args.out_dir)
    write_audit(plan, folder)
    for name, value in plan.facts().items():
        print(f'{name:20} {value}')
    print(f'written to {folder}: README.md, config.py')


if __name__ == '__main__':
    run_main(main)
