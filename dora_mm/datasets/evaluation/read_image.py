"""The one way from an image file to pixels, for every evaluation.

Labels live in stored pixels: a mask or box counts the rows and columns of the
file. So an orientation that the file notes (EXIF) is not applied, for any
data set, and the protocols of DINO on ImageNet do the same.
"""
import io
import os
import re
from os import PathLike
from pathlib import Path
from typing import List, Sequence, Set, Tuple, Union

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

from .check_whole import check_whole

_ORIENTATION = 0x112
# What PIL does to a TIFF when it loads it, undone.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.gif', '.tif',
                    '.tiff', '.ppm', '.pgm')


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's data.

    Args:
        name (str): Without its folder.

    Returns:
        bool: True for a leading dot (notebooks' checkpoints, macOS resource
        forks, unfinished downloads) and for macOS's folder in zip files.
    """
    return name.startswith('.') or name == '__MACOSX'


def files_below(folder: Union[str, PathLike]) -> List[Path]:
    """The files in a folder, at any depth, through links as well.

    Args:
        folder (str | Path): Hidden files and folders in it are left out.

    Returns:
        list[Path]: In alphabetical order.

    Raises:
        ValueError: If a folder in it cannot be read, or what is in it is no
            file, such as a link to nothing.
    """
    found: List[Path] = []
    _add_files(Path(folder), set(), found)
    return sorted(found)


def _add_files(folder: Path, above: Set[Tuple[int, int]],
               found: List[Path]) -> None:
    state = folder.stat()
    here = state.st_dev, state.st_ino
    if here in above:  # a link to a folder that it lies in
        return
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise ValueError(
            f'{folder} cannot be read: {error.strerror}') from error
    for entry in shown:
        if entry.is_dir():
            _add_files(Path(entry.path), above | {here}, found)
        elif entry.is_file():
            found.append(Path(entry.path))
        else:
            raise ValueError(f'{entry.path} must be a file, but is a link to '
                             'nothing, a pipe or a device: mend or remove it')


def image_files(folder: Union[str, PathLike]) -> List[Path]:
    """The images in a folder, in the order of their numbers.

    Args:
        folder (str | Path): Not searched at any depth.

    Returns:
        list[Path]: ``2.jpg`` before ``10.jpg``; none if there is no folder.

    Raises:
        ValueError: If two have the same name but for the ending.
    """
    found = [
        path for path in Path(folder).glob('*')
        if path.suffix.lower() in IMAGE_EXTENSIONS and not is_hidden(path.name)
    ]
    found.sort(key=lambda path: (len(path.stem), path.name))
    for one, other in zip(found, found[1:]):
        if one.stem == other.stem:
            raise ValueError(f'{folder} must have one image of a name, but '
                             f'got {one.name} and {other.name}: remove one')
    return found


def check_numbers(paths: Sequence[Path]) -> None:
    """Refuse frames of which one is missing, as far as their names say.

    Args:
        paths (Sequence[Path]): In their order.

    Raises:
        ValueError: If all names end in numbers, and these do not count on.
    """
    ends = [re.search(r'\d+$', path.stem) for path in paths]
    numbers = [int(end.group()) for end in ends if end]
    if len(numbers) < len(paths):
        return
    for one, other, path in zip(numbers, numbers[1:], paths[1:]):
        if other != one + 1:
            raise ValueError(f'{path.parent} must have every frame, but got '
                             f'{path.name} after number {one}: get the '
                             'missing ones')


def open_image(data: bytes,
               name: Union[str, PathLike],
               upright: bool = False) -> Image.Image:
    """Decode a file as it is, whole or not at all.

    Args:
        data (bytes): The file.
        name (str | Path): Its name, for the message.
        upright (bool): Whether to turn the image as the file says it is to
            be shown. Defaults to False.

    Returns:
        PIL.Image.Image: In the mode of the file; of several pictures the
        first.

    Raises:
        ValueError: If it cannot be decoded or see :func:`check_whole`. What
            is damaged within another kind of file than PNG may show no error.
    """
    try:
        check_whole(data)
        image = Image.open(io.BytesIO(data))
        turns, kind = 1, image.format
        if kind == 'TIFF':
            turns = image.tag_v2.get(_ORIENTATION, 1)
        image.load()
        if upright:
            turned = ImageOps.exif_transpose(image)
        else:
            turned = image.transpose(_UNDO[turns]) if turns in _UNDO else image
        turned.format = kind
    # a broken file leads PIL's decoders to errors of many kinds
    except Exception as error:
        reason = str(error)
        if isinstance(error, UnidentifiedImageError):  # names an address
            reason = f'its {len(data)} bytes are no image that Pillow knows'
        raise ValueError(f'{name} cannot be decoded: {reason}') from error
    return turned


def read_bytes(path: Union[str, PathLike]) -> bytes:
    """A whole file.

    Args:
        path (str | Path): The file.

    Returns:
        bytes: What it holds.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from error


def decode_image(data: bytes,
                 name: Union[str, PathLike],
                 upright: bool = False) -> np.ndarray:
    """Pixels of an encoded image.

    Grey gets three equal channels, palettes and CMYK become RGB, of 16 bits
    the upper 8 are kept. Transparency is dropped and colour profiles are not
    applied, as in torchvision and OpenCV.

    Args:
        data (bytes): The file.
        name (str | Path): Its name, for the message.
        upright (bool): Whether to turn the image as the file says it is to
            be shown; never where there are labels. Defaults to False.

    Returns:
        np.ndarray: uint8 (h, w, 3), RGB.

    Raises:
        ValueError: If it cannot be decoded, ends too early, or its pixels are
            numbers of an unknown range.
    """
    image = open_image(data, name, upright)
    kind = f'{image.format} of mode {image.mode}'
    # PIL gives the 16 bits of these two formats in 32
    if image.mode.startswith('I;16') or (image.mode == 'I'
                                         and kind[:3] in ('PNG', 'PPM')):
        image = _upper_bits(image, data)
    if image.mode in ('I', 'F'):
        raise ValueError(f'{name} must have 8 or 16 bits a channel, but is a '
                         f'{kind}: the range of its values is not known, '
                         'convert it')
    try:
        return np.array(image.convert('RGB'))
    except ValueError as error:
        raise ValueError(f'{name} must be an image that PIL turns into RGB, '
                         f'but is a {kind}: convert it') from error


def _upper_bits(image: Image.Image, data: bytes) -> Image.Image:
    """8 bits of grey, of the 16 that PIL has; of a TIFF it leaves 12 as they
    are, and white as 0."""
    bits, inverted = 16, False
    if image.format == 'TIFF':
        with Image.open(io.BytesIO(data)) as file:
            bits, = file.tag_v2[BITSPERSAMPLE]
            inverted = is_white_zero(file)
    upper = (np.asarray(image) >> bits - 8).astype(np.uint8)
    return Image.fromarray(255 - upper if inverted else upper)


def is_white_zero(image: Image.Image) -> bool:
    """Whether 0 is white.

    Args:
        image (PIL.Image.Image): As opened.

    Returns:
        bool: True for a TIFF that says so.
    """
    return (image.format == 'TIFF'
            and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0)


def read_image(path: Union[str, PathLike],
               upright: bool = False) -> np.ndarray:
    """Pixels of an image file, see :func:`decode_image`.

    Args:
        path (str | Path): The file.
        upright (bool): See there.

    Returns:
        np.ndarray: uint8 (h, w, 3), RGB.

    Raises:
        ValueError: If it cannot be read or decoded.
    """
    return decode_image(read_bytes(path), path, upright)
