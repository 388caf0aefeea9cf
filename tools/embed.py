"""Write the features of images as .npy, with an index of what the rows are.

Example: dora-mm embed photos/ dora_vit-s16.pth --out-dir features

SOURCE is a folder, searched at any depth, an uncompressed .tar, a list (.txt,
one path a line), a COCO file (.json), an image, or a video. Written are
features.npy, float32, and index.json. An interrupted run goes on where it
stopped; an image that cannot be read ends it with the image's name.
"""
import argparse
from pathlib import Path
from typing import List, Optional

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.checkpoint_options import add_key_option, add_trust_option
from dora_mm.utils.number_options import integer, positive
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SOURCE', help='images or a video')
    parser.add_argument(
        'model',
        type=find_config,
        metavar='CHECKPOINT|CONFIG|colour',
        help='backbone; a config gives random weights')
    parser.add_argument(
        '--out-dir',
        help='folder to write to (default: work_dirs/embed/<name of SOURCE>)')
    parser.add_argument(
        '--feature',
        choices=('cls', 'mean', 'dense'),
        default='cls',
        help='[CLS] token, mean of the patch tokens, or all of them '
        '(default: cls)')
    parser.add_argument(
        '--size',
        type=integer(1),
        default=224,
        help='pixels of the central square that is seen (default: 224)')
    parser.add_argument(
        '--root',
        help='folder that paths in a list or COCO file start from (default: '
        'that of the file)')
    parser.add_argument(
        '--interval',
        type=positive,
        default=1.,
        help='seconds between the frames of a video (default: 1)')
    parser.add_argument('--batch-size', type=integer(1), default=32)
    parser.add_argument(
        '--num-workers',
        type=integer(0),
        default=2,
        help='processes that read images (default: 2)')
    add_key_option(parser)
    add_architecture_options(parser)
    add_trust_option(parser)
    return parser.parse_args(argv)


def embed(args: argparse.Namespace) -> Path:
    """Write the features that the command line asks for.

    Returns:
        Path: Of ``features.npy``.
    """
    from mmengine.device import get_device

    from dora_mm.apis.embed_images import embed_images
    from dora_mm.datasets.evaluation.image_source import ImageSource
    from dora_mm.models import ModelLoader

    source = ImageSource(args.source, args.root, args.interval)
    out_dir = args.out_dir or Path('work_dirs/embed') / source.path.stem
    check_output_folder('--out-dir', out_dir)
    options = given_options(args)
    backbone = ModelLoader(
        args.model, trust=args.trust).backbone(args.key, **options)
    model = Path(args.model)
    stat = model.stat() if model.is_file() else None
    facts = dict(
        model=str(model.resolve()) if stat else args.model,
        model_state=stat and [stat.st_size, stat.st_mtime_ns],
        key=args.key,
        **options)
    return embed_images(source, backbone, out_dir, args.feature, args.size,
                        args.batch_size, args.num_workers, get_device(), facts)


def main(argv: Optional[List[str]] = None) -> None:
    path = embed(parse_args(argv))
    print(f'written to {path}; the rows are listed in '
          f'{path.with_name("index.json")}')


if __name__ == '__main__':
    run_main(main)
