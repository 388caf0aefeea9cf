"""Make DAVIS a segmentation and a detection data set with real masks.

Writes, into a new folder OUT,
  images/{training,validation}/SEQUENCE_FRAME.jpg
  annotations/{training,validation}/SEQUENCE_FRAME.png   as ADE20K: 0 is
      unlabelled, 1 background, 2 object
  instances_{training,validation}.json                   as COCO: one category,
      one annotation per object and frame, masks as run lengths
from DAVIS/JPEGImages/480p and DAVIS/Annotations/480p. The last fifth of the
frames of every sequence is the validation set, which looks much like the
training set: small, quick data to see whether training works, no benchmark.
With --val-sequences whole sequences are held out.
"""
import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from dora_mm.datasets.evaluation.read_image import (image_files, is_hidden,
                                                    read_image)
from dora_mm.datasets.evaluation.read_mask import VOID, mask_palette, read_mask
from dora_mm.utils.number_options import integer
from dora_mm.utils.run_main import run_main

SPLITS = ('training', 'validation')
BACKGROUND, OBJECT = 1, 2
VAL_SHARE = 5  # one frame in so many


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('davis', type=Path, help='folder of JPEGImages')
    parser.add_argument('out', type=Path, help='folder to make')
    parser.add_argument(
        '--val-sequences',
        nargs='+',
        metavar='NAME',
        help='sequences to validate on instead')
    parser.add_argument(
        '--step', type=integer(1), default=1, help='take every so many frames')
    return parser.parse_args(args)


def split_frames(davis, val_sequences=None, step=1):
    """Assign the frames that have an image and masks.

    Args:
        davis (Path): DAVIS.
        val_sequences (list[str], optional): Held out.
        step (int): Take every so many frames.

    Returns:
        dict[str, list[tuple[str, Path, Path]]]: Split -> name, image, masks.

    Raises:
        ValueError: If there is nothing there, a name is wrong, or a mask has
            no image.
    """
    masks = davis / 'Annotations' / '480p'
    names = sorted(
        path.name for path in masks.glob('*')
        if path.is_dir() and not is_hidden(path.name))
    if not names:
        raise ValueError(f'{masks} holds no sequences: give the folder that '
                         'has JPEGImages and Annotations in it')
    unknown = set(val_sequences or ()) - set(names)
    if unknown:
        raise ValueError(f'--val-sequences must be of {", ".join(names)}, but '
                         f'got {", ".join(sorted(unknown))}')
    splits = {split: [] for split in SPLITS}
    for name in names:
        images = {
            path.stem: path
            for path in image_files(davis / 'JPEGImages' / '480p' / name)
        }
        files = image_files(masks / name)
        alone = sorted({path.stem for path in files} - set(images))
        if alone:
            raise ValueError(f'{davis}: sequence {name} must have an image '
                             f'for each mask, but got none for {alone[:3]}: '
                             'get it again')
        pairs = [(f'{name}_{mask.stem}', images[mask.stem], mask)
                 for mask in files[::step]]
        if val_sequences:
            border = 0 if name in val_sequences else len(pairs)
        else:
            border = len(pairs) - len(pairs) // VAL_SHARE
        splits['training'] += pairs[:border]
        splits['validation'] += pairs[border:]
    return splits


def read_objects(path):
    """Masks of the objects of a frame.

    Args:
        path (Path): A palette PNG with object ids, or one of 0 and 255.

    Returns:
        dict[int, ndarray]: id -> bool (H, W); only objects that are visible.
    """
    ids = read_mask(path, mask_palette(path))
    numbers = set(np.unique(ids).tolist())
    with Image.open(path) as image:
        # in black and white 255 is the object
        white = image.mode != 'P' and numbers <= {0, VOID}
    return {
        i: ids == i
        for i in sorted(numbers - ({0} if white else {0, VOID}))
    }


def run_lengths(mask):
    """COCO's uncompressed run lengths, down the columns, zeros first."""
    flat = mask.flatten(order='F')
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], borders, [flat.size]])
    counts = np.diff(edges).tolist()
    return [0] + counts if flat[0] else counts


def annotation(mask, **ids):
    """One object as COCO has it; box as x, y, width, height in pixels."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = (columns[0], rows[0], columns[-1] - columns[0] + 1,
           rows[-1] - rows[0] + 1)
    return dict(
        ids,
        category_id=1,
        iscrowd=0,
        area=int(mask.sum()),
        bbox=[int(value) for value in box],
        segmentation=dict(size=list(mask.shape), counts=run_lengths(mask)))


def write_split(out, split, frames):
    """Write images, label maps and the COCO file of one split."""
    coco = dict(
        images=[], annotations=[], categories=[dict(id=1, name='object')])
    for folder in ('images', 'annotations'):
        (out / folder / split).mkdir(parents=True)
    for image_id, (name, image, mask_file) in enumerate(frames, 1):
        objects = read_objects(mask_file)
        height, width = read_image(image).shape[:2]
        for mask in objects.values():
            if mask.shape != (height, width):
                raise ValueError(
                    f'{mask_file} must have the {(height, width)} rows and '
                    f'columns of its image as stored, but got {mask.shape}: '
                    'check the orientation that the image notes')
        labels = np.full((height, width), BACKGROUND, dtype=np.uint8)
        for mask in objects.values():
            labels[mask] = OBJECT
            coco['annotations'].append(
                annotation(
                    mask, id=len(coco['annotations']) + 1, image_id=image_id))
        shutil.copyfile(image, out / 'images' / split / f'{name}.jpg')
        Image.fromarray(labels).save(out / 'annotations' / split /
                                     f'{name}.png')
        coco['images'].append(
            dict(
                id=image_id,
                file_name=f'{name}.jpg',
                width=width,
                height=height))
    (out / f'instances_{split}.json').write_text(json.dumps(coco))


def main(args=None):
    args = parse_args(args)
    if args.out.exists():
        raise ValueError(f'out must be a new folder, but {args.out} exists; '
                         'remove it first')
    splits = split_frames(args.davis, args.val_sequences, args.step)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    # The folder is there whole or not at all.
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        made = Path(folder) / args.out.name
        for split, frames in splits.items():
            write_split(made, split, frames)
            print(f'{split}: {len(frames)} frames')
        os.rename(made, args.out)


if __name__ == '__main__':
    run_main(main)
