"""Convert checkpoints between dora_mm, the authors' code and other hosts."""
import argparse
from pathlib import Path

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.check_output import check_output_file
from dora_mm.utils.checkpoint_options import add_trust_option
from dora_mm.utils.run_main import run_main


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint between the layouts of dora_mm, of '
        "the DINO and DoRA authors' code, of timm, mmseg's ViT and Hugging "
        "Face's (hf, a folder). The layout of SRC is "
        'found out. Student, teacher, heads and centre are kept, the '
        'optimiser is not. Every key is printed; missing or unknown keys are '
        'an error. The last line printed is the path of the file.')
    parser.add_argument(
        'source', metavar='SRC', help='checkpoint (hf: folder) to read')
    parser.add_argument('target', metavar='DST', help='file to write')
    parser.add_argument(
        '--to',
        required=True,
        choices=('dora_mm', 'dino', 'timm', 'mmseg', 'hf'),
        help='layout to write')
    parser.add_argument(
        '--key',
        choices=('teacher', 'student'),
        help='keep this network only (default: both; the teacher where '
        'only a backbone is written)')
    add_architecture_options(parser)
    add_trust_option(parser)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    from dora_mm.checkpoints.conversion import convert
    from dora_mm.models import build_backbone
    if args.to != 'hf' or not Path(args.target).is_dir():
        check_output_file('DST', args.target)
    report = convert(args.source, args.target, args.to, build_backbone,
                     args.key, args.trust, **given_options(args))
    print(report)
    print(report.path)


if __name__ == '__main__':
    run_main(main)
