import io
from os import PathLike
from typing import List, Optional, Tuple, Union

import numpy as np
from PIL import Image

from .read_image import is_white_zero, open_image, read_bytes

VOID = 255  # neither an object nor background
# PIL's names of what a TIFF may be coded by.
_LOSSY_TIFF = ('jpeg', 'tiff_jpeg')


def read_mask(path: Union[str, PathLike],
              palette: Optional[np.ndarray] = None,
              below: int = VOID) -> np.ndarray:
    """Numbers of objects or classes from a mask in any of the usual forms.

    A palette image holds the numbers themselves, whatever its colours, unless
    these tell that they have been moved; so does a grey one. Colours are
    looked up in ``palette``; without one, three or four equal channels hold
    the numbers if these can be, and other colours are looked up in
    :func:`voc_palette`. Transparency is ignored.

    Args:
        path (str | Path): PNG or another lossless file.
        palette (np.ndarray, optional): uint8 (n, 3), the RGB colour of each
            number.
        below (int): Numbers of objects or classes are below it. Defaults to
            255. It tells numbers from colours that are grey, such as the bus
            of Pascal VOC, and VOC's colours from like ones; grey images are
            not checked.

    Returns:
        np.ndarray: uint8 (H, W).

    Raises:
        ValueError: If the file cannot be read, is of another form, or has a
            number below 0 or above 255, or a colour that the palette lacks;
            or if its numbers cannot be told: from what is stored with loss
            (JPEG, also in TIFF, and WebP), from 2 or 4 bits of grey, from 8
            or 16 in a TIFF whose 0 is white, from 16 bits of colour, and from
            a palette most of whose colours are of :func:`voc_palette`, or
            that is used in greys alone, but at other places.
    """
    pixels = _stored(path, below)
    if pixels.ndim == 3 and palette is None and _is_grey(pixels):
        grey = pixels[..., 0]
        if ((grey < below) | (grey == VOID)).all():
            pixels = grey
    if pixels.ndim == 2:
        wrong = pixels[(pixels < 0) | (pixels > 255)]
        if len(wrong):
            raise ValueError(f'{path} must hold numbers from 0 to 255, but '
                             f'got {wrong[0]}: check that it is a mask')
        return pixels.astype(np.uint8)
    numbers, unknown = _look_up(pixels,
                                voc_palette() if palette is None else palette)
    wrong = np.argwhere(unknown)
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f'{path} must have colours of its palette, but got '
            f'{pixels[row, column].tolist()} in row {row}, column {column}: '
            'save masks as palette images, not as JPEG, and do not smooth '
            'them when resizing')
    return numbers.astype(np.uint8)


def mask_palette(path: Union[str, PathLike]) -> Optional[np.ndarray]:
    """The palette that the colours of a mask belong to.

    Args:
        path (str | Path): A mask with all objects that matter.

    Returns:
        np.ndarray | None: uint8 (n, 3): :func:`voc_palette` if that has all
        its colours, else black and the colours of the mask. None if the mask
        holds numbers.

    Raises:
        ValueError: If there are more than 254 colours besides black.
    """
    pixels, palette = _stored(path), voc_palette()
    if pixels.ndim == 2 or _is_grey(pixels):
        return None
    colours = np.unique(pixels.reshape(-1, 3), axis=0)
    if np.isin(_codes(colours), _codes(palette)).all():
        return palette
    colours = colours[colours.any(1)]
    if len(colours) >= VOID:
        raise ValueError(
            f'{path} must have a colour for each object, but got '
            f'{len(colours)} colours: save masks as palette images')
    return np.concatenate((np.zeros((1, 3), np.uint8), colours))


def voc_palette() -> np.ndarray:
    """Colours of the numbers in masks of Pascal VOC and DAVIS.

    Returns:
        np.ndarray: uint8 (256, 3), RGB. Of each number the bits 0, 3 and 6
        are the upper ones of red, from the first down, 1, 4 and 7 of green,
        2 and 5 of blue.
    """
    numbers = np.arange(256)[:, None] >> np.arange(3)
    bits = [(numbers >> 3 * i & 1) << 7 - i for i in range(3)]
    return np.sum(bits, axis=0).astype(np.uint8)


def _stored(path: Union[str, PathLike], below: int = VOID) -> np.ndarray:
    """(H, W), or (H, W, 3) for an image in colour."""
    data = read_bytes(path)
    image = open_image(data, path)
    _check_exact(data, path)
    pixels = np.asarray(image)
    if image.mode in ('LA', 'PA'):
        pixels = pixels[..., 0]
    if image.mode in ('P', 'PA'):
        _check_places(image.getpalette(), np.unique(pixels), below, path,
                      data[:3] == b'GIF')
    if image.mode in ('1', 'L', 'LA', 'P', 'PA', 'I', 'I;16', 'I;16B',
                      'I;16L'):
        return pixels
    if image.mode not in ('RGB', 'RGBA'):
        raise ValueError(f'{path} must be a palette, grey, RGB or RGBA image, '
                         f'but its mode is {image.mode}: convert it')
    return pixels[..., :3]


def _check_places(palette: List[int], used: np.ndarray, below: int,
                  path: Union[str, PathLike], is_gif: bool) -> None:
    """What makes a file smaller, and PIL where it writes a GIF, moves the
    colours of a palette: the indices are no numbers any more."""
    colours = np.reshape(palette, (-1, 3))
    if used[-1] >= len(colours):
        return
    kind, known = 'colours of VOC and DAVIS', voc_palette()
    numbers, foreign = _look_up(colours, known)
    if _count(colours[~foreign]) <= _count(colours[foreign]):
        # Another palette, unless it is one of greys. A GIF always has one;
        # elsewhere black and white are colours of the numbers 0 and 1.
        kind, known = 'greys of labels', np.repeat(np.arange(256), 3)
        numbers, foreign = _look_up(colours, known.reshape(-1, 3))
        if foreign[used].any() or not (is_gif or _count(colours[used]) > 2):
            return
    numbers[foreign] = -1
    own = used[~foreign[used]]
    found = numbers[own]
    if ((found >= below) & (found != VOID)).any():
        return
    # A palette is filled up with black, which is in its place as well.
    placed = np.isin(found, np.flatnonzero(numbers == np.arange(len(numbers))))
    moved = own[~placed]
    if len(moved):
        raise ValueError(
            f'{path} must have the {kind} at the indices of their numbers, '
            f'but got that of number {numbers[moved[0]]} at index {moved[0]}: '
            'its palette has been reordered, save the numbers as a grey PNG')


def _count(colours: np.ndarray) -> int:
    return len(np.unique(_codes(colours)))


def _check_exact(data: bytes, path: Union[str, PathLike]) -> None:
    """PIL stretches what has not 8 bits, and some files are changed when they
    are written."""
    with Image.open(io.BytesIO(data)) as image:
        coding = image.info.get('compression')
        if coding in _LOSSY_TIFF or (image.format == 'WEBP'
                                     and _is_lossy_webp(data)):
            raise ValueError(
                f'{path} must hold its numbers or colours as they are, but '
                f'is a {image.format} stored with loss: save masks as PNG')
        for codec, _, _, args in image.tile:
            raw, *others = args if isinstance(args, tuple) else (args, )
            if codec == 'jpeg' or (
                    codec.startswith('ppm')
                    and others[-1] not in (255, 65535)) or (
                        image.mode in ('L', 'LA', 'RGB', 'RGBA')
                        and ';' in str(raw)) or (
                            image.mode == 'I;16' and is_white_zero(image)):
                raise ValueError(
                    f'{path} must hold its numbers or colours as they are, '
                    f'but is a {image.format} of {raw}: save masks as PNG, '
                    'as palette images or with 8 bits a channel')


def _is_lossy_webp(data: bytes) -> bool:
    """Whether a picture in it is coded as in the video format VP8."""
    place = 12
    while place + 8 <= len(data):
        # in a moving one each picture is in a part of its own
        if data[place:place + 4] in (b'VP8 ', b'ANMF'):
            return True
        size = int.from_bytes(data[place + 4:place + 8], 'little')
        place += 8 + size + size % 2
    return False


def _is_grey(pixels: np.ndarray) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def _look_up(colours: np.ndarray,
             palette: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """(..., 3) to the numbers (...) and whether the palette lacks them."""
    known, codes = _codes(palette), _codes(colours)
    order = np.argsort(known)
    places = np.searchsorted(known, codes, sorter=order)
    numbers = order[places.clip(max=len(known) - 1)]
    return numbers, known[numbers] != codes


def _codes(colours: np.ndarray) -> np.ndarray:
    """(..., 3) to one integer each."""
    return colours.astype(np.int64) @ (1 << 16, 1 << 8, 1)
