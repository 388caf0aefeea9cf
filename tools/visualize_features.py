"""Attention maps and principal components of images or a video.

Example: python tools/visualize_features.py walk.mp4 work_dirs/run/iter_N.pth

Writes one picture for each frame, row by row: the frame, the three main
components of its patch features as colours (the same ones in all frames of a
video), the attention of [CLS] in the last layer, mean and each head. Frames
of a video also become NAME_features.mp4. Of a folder each image is drawn;
NAME_features.json lists what the pictures are of.
"""
import argparse
from pathlib import Path

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.checkpoint_options import add_key_option
from dora_mm.utils.counted import counted
from dora_mm.utils.number_options import integer, not_negative, positive
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', help='image, folder of images, or video')
    parser.add_argument(
        'model',
        type=find_config,
        metavar='CHECKPOINT|CONFIG',
        help='a checkpoint, or a config file for random weights')
    add_key_option(parser)
    add_architecture_options(parser)
    parser.add_argument(
        '--size',
        type=integer(1),
        default=224,
        help='pixels of the short side (default: 224)')
    parser.add_argument(
        '--num-frames',
        type=integer(1),
        default=8,
        help='frames of a video (default: 8)')
    parser.add_argument(
        '--interval',
        type=positive,
        default=1.,
        help='seconds between frames (default: 1)')
    parser.add_argument(
        '--start',
        type=not_negative,
        default=0.,
        help='first second (default: 0)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/features',
        help='folder to write to (default: work_dirs/features)')
    return parser.parse_args(args)


def find_titles(args):
    """A title for each picture that is going to be drawn.

    Returns:
        list[str]: The name of an image, in its folder if one was given, or
        file and second of a frame.
    """
    from dora_mm.datasets.evaluation.image_source import ImageSource
    from dora_mm.datasets.evaluation.read_image import IMAGE_EXTENSIONS
    path = Path(args.input)
    if path.is_dir():
        return [item['name'] for item in ImageSource(path).items]
    if path.suffix.lower() in IMAGE_EXTENSIONS:
        return [path.name]
    seconds = (args.start + i * args.interval for i in range(args.num_frames))
    return [f'{path.name} at {second:.2f} s' for second in seconds]


def draw(args, inferencer, titles):
    """The pictures, one at a time; those of a video share their colours."""
    from dora_mm.visualization.feature_maps import (feature_sheet, pca_colours,
                                                    with_caption)
    path, is_folder = Path(args.input), Path(args.input).is_dir()
    entries = [path / title for title in titles] if is_folder else [path]
    titles = iter(titles)
    for entry in entries:
        found = inferencer(entry, args.num_frames, args.interval, args.start)
        colours = pca_colours(found['patches'])
        for parts in zip(found['frames'], found['attention'], colours):
            yield with_caption(feature_sheet(*parts), next(titles))


def visualize(args):
    """Write ``NAME_NNN.png`` and, of a video, ``NAME_features.mp4``."""
    from dora_mm.apis import DoRAInferencer
    from dora_mm.utils.claim_outputs import claim_outputs
    from dora_mm.visualization.write_images import write_mp4, write_png
    check_output_folder('--out-dir', args.out_dir)
    inferencer = DoRAInferencer(
        args.model, args.key, args.size, **given_options(args))
    folder, titles, sheets = Path(args.out_dir), find_titles(args), []
    for number, sheet in enumerate(draw(args, inferencer, titles)):
        if not number:
            # not before: a wrong argument leaves no empty folder behind
            name = claim_outputs(
                folder,
                args.input,
                'features',
                r'\d+\.png|features\.mp4',
                model=args.model,
                pictures=titles)
        write_png(folder / f'{name}_{number:03}.png', sheet)
        if not Path(args.input).is_dir():
            sheets.append(sheet)
    if len(sheets) > 1:
        write_mp4(folder / f'{name}_features.mp4', sheets, args.interval)
    print(f'{counted(len(titles), "picture")} written to {folder}')


def main(argv=None):
    visualize(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
