"""Give a backbone that a host package can load: print the path of the file.

A published file is used as it is. A runner checkpoint, a file of the authors'
code or any other that tools/publish_backbone.py takes is published into DIR,
with the same options where it does not say its architecture.

With --run and what follows, the config and the options of the host's
tools/train.py, the files that these name are checked first: the hosts load a
checkpoint with full rights where it holds more than tensors, so one that
holds more than tensors, plain data and logs is refused.
"""
import argparse
from pathlib import Path

import torch
from mmengine.runner import find_latest_checkpoint

import dora_mm  # noqa: F401  (checks versions, allows _base_='dora_mm::...')
from dora_mm.checkpoints import publish, sniff
from dora_mm.checkpoints.plain_checkpoints import check_named_files, load_plain
from dora_mm.checkpoints.safe_load import sha256_of
from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options, option_words)
from dora_mm.utils.checkpoint_options import add_trust_option
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.run_main import run_main


def is_published(path):
    """Whether a host can load it safely: tensors and plain data only."""
    try:
        data = torch.load(path, map_location='cpu', weights_only=True)
        return sniff(data) == 'mmpretrain' and 'arch' in data['meta']
    except Exception:  # whatever it is, publishing judges it
        return False


def check_run(words):
    """Check the files that a host's tools/train.py would load.

    Args:
        words (List[str]): Config and options, of which those count that name
            files.

    Raises:
        ValueError: If a file is refused.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--work-dir')
    parser.add_argument('--resume', nargs='?', const='auto')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_known_args(words)[0]
    cfg = read_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    check_named_files(cfg.to_dict())
    if args.resume not in (None, 'auto'):
        load_plain(args.resume)
    elif args.resume or cfg.get('resume'):
        work_dir = args.work_dir or cfg.get('work_dir') or str(
            Path('work_dirs') / Path(args.config).stem)
        path = find_latest_checkpoint(work_dir)
        if path is not None:
            load_plain(path)


def prepare(source, folder, trust, options):
    """The file that a host is given.

    Args:
        source (Path): What the user named.
        folder (Path): Where published files go.
        trust (bool): See :func:`load_trusted`.
        options (dict): Of the architecture, see :func:`given_options`.

    Returns:
        Path: A published file.

    Raises:
        ValueError: If the source is missing, unsafe or not a backbone, does
            not say its architecture, or says another than the options.
    """
    if not source.is_file():
        raise ValueError(f'checkpoint must be a file, but {source} is not a '
                         'file: check the path')
    if not options and is_published(source):
        return source.resolve()
    # One file for each source, however often it is asked for.
    name = f'{source.stem}-{sha256_of(source)[:8]}' + ''.join(
        option_words(options))
    known = sorted(folder.glob(f'{name}_*.pth'))
    if not known:
        from dora_mm.models import build_backbone  # seconds, seldom needed
        folder.mkdir(parents=True, exist_ok=True)
        known = [
            publish(source, folder / f'{name}.pth', build_backbone,
                    trust=trust, **options).path
        ]
    return known[-1].resolve()


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'checkpoint', help="a file, or 'random' to check a run only")
    parser.add_argument('dir', type=Path)
    add_architecture_options(parser)
    add_trust_option(parser)
    parser.add_argument('--run', nargs=argparse.REMAINDER)
    return parser.parse_args(args)


def main(args=None):
    args = parse_args(args)
    if args.run and not args.trust:
        check_run(args.run)
    if args.checkpoint != 'random':
        print(
            prepare(
                Path(args.checkpoint), args.dir, args.trust,
                given_options(args)))


if __name__ == '__main__':
    run_main(main)
