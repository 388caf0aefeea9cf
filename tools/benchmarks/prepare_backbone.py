"""Give a backbone that a host package can load: print the path of the file.

A published file is used as it is. A runner checkpoint, a file of the authors'
code or any other that tools/publish_backbone.py takes is published into DIR.
"""
import argparse
from pathlib import Path

import torch

from dora_mm.checkpoints import publish, sniff
from dora_mm.checkpoints.safe_load import sha256_of
from dora_mm.models import build_backbone
from dora_mm.utils.run_main import run_main


def is_published(path):
    """Whether a host can load it safely: tensors and plain data only."""
    try:
        data = torch.load(path, map_location='cpu', weights_only=True)
        return sniff(data) == 'mmpretrain' and 'arch' in data['meta']
    except Exception:  # whatever it is, publishing judges it
        return False


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('dir', type=Path)
    return parser.parse_args(args)


def main(args=None):
    args = parse_args(args)
    if args.checkpoint.is_file() and is_published(args.checkpoint):
        print(args.checkpoint.resolve())
        return
    if not args.checkpoint.is_file():
        raise ValueError(f'checkpoint must be a file, but {args.checkpoint} '
                         'is not a file: check the path')
    # One file for each source, however often it is asked for.
    name = f'{args.checkpoint.stem}-{sha256_of(args.checkpoint)[:8]}'
    known = sorted(args.dir.glob(f'{name}_*.pth'))
    if not known:
        args.dir.mkdir(parents=True, exist_ok=True)
        report = publish(args.checkpoint, args.dir / f'{name}.pth',
                         build_backbone)
        known = [report.path]
    print(known[-1].resolve())


if __name__ == '__main__':
    run_main(main)
