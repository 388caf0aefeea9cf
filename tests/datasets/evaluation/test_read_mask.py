"""Numbers out of every form of a mask."""
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dora_mm.datasets.evaluation.read_mask import (VOID, mask_palette,
                                                   read_mask, voc_palette)

# of Pascal VOC's development kit: background, aeroplane, person, tvmonitor,
# void
VOC = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192)
}
NUMBERS = np.random.default_rng(0).choice(list(VOC), (9, 7)).astype(np.uint8)
COLOURS = np.array([[VOC[n] for n in row] for row in NUMBERS], np.uint8)


def palette_image(colours):
    image = Image.fromarray(NUMBERS)
    image.putpalette(np.asarray(colours, np.uint8).tobytes())
    assert image.mode == 'P'
    return image


FORMS = dict(
    palette=palette_image(voc_palette()),
    other_palette=palette_image(np.arange(768) % 251),
    grey=Image.fromarray(NUMBERS),
    grey_alpha=Image.merge('LA', [Image.fromarray(NUMBERS)] * 2),
    grey_in_rgb=Image.fromarray(NUMBERS).convert('RGB'),
    grey_in_rgba=Image.fromarray(NUMBERS).convert('RGBA'),
    wide=Image.fromarray(NUMBERS.astype(np.uint16)),
    rgb=Image.fromarray(COLOURS),
    rgba=Image.fromarray(COLOURS).convert('RGBA'))


@pytest.mark.parametrize('form', FORMS)
def test_forms(tmp_path, form):
    FORMS[form].save(tmp_path / 'a.png')
    assert np.array_equal(read_mask(tmp_path / 'a.png'), NUMBERS)


def moved_palettes():
    """The same pixels, with other indices."""
    colours = Image.fromarray(COLOURS)
    yield 'quantised', colours.quantize(8), 'png'
    yield 'colours as gif', colours, 'gif'
    yield 'palette as gif', FORMS['palette'], 'gif'
    order = np.random.default_rng(0).permutation(256)
    image = Image.fromarray(np.argsort(order)[NUMBERS].astype(np.uint8))
    image.putpalette(voc_palette()[order].tobytes())
    yield 'permutation', image, 'png'
    yield 'permutation, alpha', image.convert('PA'), 'tif'


MOVED = list(moved_palettes())


@pytest.mark.parametrize('case', MOVED, ids=[case[0] for case in MOVED])
def test_colours_that_have_been_moved(tmp_path, case):
    """An index said 1 where its colour said 15, or a class of void."""
    _, image, kind = case
    path = tmp_path / f'a.{kind}'
    image.save(path)
    with Image.open(path) as stored:
        assert stored.mode[0] == 'P'
        assert np.array_equal(stored.convert('RGB'), COLOURS)
    for below in (21, 255):
        with pytest.raises(ValueError, match='reordered, save the numbers'):
            read_mask(path, below=below)
    # by the remedy
    Image.fromarray(NUMBERS).save(tmp_path / 'b.png')
    assert np.array_equal(read_mask(tmp_path / 'b.png', below=21), NUMBERS)


@pytest.mark.parametrize('kind, numbers', [
    ('gif', (0, 1, 15, 20, 255)), ('gif', (0, 1, 2, 4)), ('gif', (0, 255)),
    ('gif', (0, 2)), ('png', (0, 1, 15, 20, 255)), ('png', (0, 1, 2, 4)),
])  # yapf: disable
def test_greys_that_have_been_moved(tmp_path, kind, numbers):
    """A GIF has no grey: its indices, which count the greys, were read."""
    image = Image.fromarray(np.array([numbers] * 2, np.uint8))
    path = tmp_path / f'a.{kind}'
    image.quantize(256).save(path)
    with Image.open(path) as stored:
        assert stored.convert('L').getdata()[len(numbers) - 1] == numbers[-1]
    with pytest.raises(ValueError, match='greys .*reordered, save the number'):
        read_mask(path)
    # in their places they are read
    row = np.arange(6, dtype=np.uint8)[None]
    Image.fromarray(row).save(tmp_path / 'b.gif')
    assert read_mask(tmp_path / 'b.gif').tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize('foreign', [(255, 255, 255), (244, 35, 232)])
@pytest.mark.parametrize('kind', ['gif', 'png'])
def test_moved_colours_beside_a_foreign_one(tmp_path, foreign, kind):
    """One colour of its own switched the check off."""
    colours = voc_palette()
    colours[VOID] = foreign
    for numbers in ((0, 2, 255), (1, 0, 2, 255), (0, 15, 20, 255)):
        image = Image.fromarray(colours[np.array([numbers] * 2)])
        path = tmp_path / f'a.{kind}'
        image.quantize(256).save(path)
        with pytest.raises(ValueError, match='reordered, save the numbers'):
            read_mask(path)
    # with its colours in place it is read
    image = Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8))
    image.putpalette(colours.tobytes())
    image.save(tmp_path / 'b.png')
    assert read_mask(tmp_path / 'b.png').tolist() == [[0, 1, 2, 255]]


def test_palettes_of_other_colours(tmp_path):
    """All tell by their indices, though some colours are VOC's as well."""
    path = tmp_path / 'a.png'
    cityscapes = [(128, 64, 128), (244, 35, 232), (70, 70, 70)]
    camvid = [(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128)]
    ramp = np.repeat(np.arange(256)[:, None], 3, 1)
    white = np.outer((0, 1), (255, ) * 3)
    for colours, below in ((cityscapes, 255), (camvid, 12), (ramp, 255),
                           (white, 255), (voc_palette()[:21], 21)):
        colours = np.concatenate((colours, np.zeros((256, 3)))).astype(int)
        numbers = np.array([[255, 0, 2, 3]], np.uint8)
        image = Image.fromarray(numbers)
        image.putpalette(colours[:256].astype(np.uint8).tobytes())
        image.save(path)
        assert np.array_equal(read_mask(path, below=below), numbers)
    # the road has the colour of VOC's number 21, which none of 19 classes is
    image = Image.fromarray(np.zeros((2, 2), np.uint8))
    image.putpalette(bytes(cityscapes[0]))
    image.save(path)
    assert not read_mask(path, below=19).any()


def test_two_values(tmp_path):
    Image.fromarray(NUMBERS > 1).save(tmp_path / 'a.png')
    assert np.array_equal(read_mask(tmp_path / 'a.png'), NUMBERS > 1)


def test_colours_of_any_palette(tmp_path):
    """Numbered once for a video: its first mask has all objects."""
    red, green, black = (255, 0, 0), (0, 255, 0), (0, 0, 0)
    for name, row in dict(a=(black, green, red), b=(red, red, black)).items():
        Image.fromarray(np.array([row],
                                 np.uint8)).save(tmp_path / f'{name}.png')
    palette = mask_palette(tmp_path / 'a.png')
    found = [read_mask(tmp_path / f'{n}.png', palette)[0] for n in 'ab']
    assert found[0].tolist() == [0, 1, 2] and found[1].tolist() == [2, 2, 0]
    # the second object is grey, and alone in a later frame
    white = np.array([[black, (255, ) * 3, red]], np.uint8)
    Image.fromarray(white).save(tmp_path / 'c.png')
    Image.fromarray(white[:, :2].copy()).save(tmp_path / 'd.png')
    palette = mask_palette(tmp_path / 'c.png')
    assert read_mask(tmp_path / 'c.png', palette).tolist() == [[0, 2, 1]]
    assert read_mask(tmp_path / 'd.png', palette).tolist() == [[0, 2]]
    with pytest.raises(ValueError, match=r'got \[0, 255, 0\] in row 0, colum'):
        read_mask(tmp_path / 'a.png')


def test_the_colour_of_a_bus_is_grey(tmp_path):
    """Of Pascal VOC, class 7; as a number of 21 it cannot be."""
    Image.fromarray(np.array([[(0, ) * 3, (128, ) * 3]],
                             np.uint8)).save(tmp_path / 'a.png')
    assert read_mask(tmp_path / 'a.png', below=21).tolist() == [[0, 7]]
    assert read_mask(tmp_path / 'a.png').tolist() == [[0, 128]]
    FORMS['grey_in_rgb'].save(tmp_path / 'b.png')
    assert np.array_equal(read_mask(tmp_path / 'b.png', below=21), NUMBERS)


def png(bits, kind, row):
    """A PNG of one row, from the bytes of its samples."""

    def part(name, data):
        return (struct.pack('>I', len(data)) + name + data +
                struct.pack('>I', zlib.crc32(name + data)))

    channels = {0: 1, 2: 3, 3: 1, 4: 2}[kind]
    header = struct.pack('>IIBBBBB',
                         len(row) * 8 // bits // channels, 1, bits, kind, 0, 0,
                         0)
    return (b'\x89PNG\r\n\x1a\n' + part(b'IHDR', header) +
            part(b'PLTE', bytes(range(12))) * (kind == 3) +
            part(b'IDAT', zlib.compress(b'\0' + row)) + part(b'IEND', b''))


def test_numbers_that_a_decoder_changes(tmp_path):
    """Grey of 2 bits is stretched to 0, 85, 170 and 255, of 16 bits of colour
    the lower ones are lost, JPEG draws a border around what is white."""
    path = tmp_path / 'a.png'
    path.write_bytes(png(2, 3, b'\x1b\xe4'))
    assert read_mask(path).tolist() == [[0, 1, 2, 3, 3, 2, 1, 0]]
    path.write_bytes(png(16, 0, b'\0\0\0\1\0\2'))
    assert read_mask(path).tolist() == [[0, 1, 2]]
    square = np.zeros((32, 32), np.uint8)
    square[8:20, 8:20] = 255
    Image.fromarray(square).save(tmp_path / 'a.jpg')
    lossy = (tmp_path / 'a.jpg').read_bytes()
    for data in (png(2, 0, b'\x1b\xe4'), png(4, 0, b'\x01\x23'),
                 png(16, 2, b'\0\3' * 6), png(16, 4, b'\0\3\xff\xff'), lossy,
                 b'P5 2 1 20\n\x01\x02'):
        path.write_bytes(data)
        for read in (read_mask, mask_palette):
            with pytest.raises(ValueError, match='as they are, but is a'):
                read(path)


LOSSY = dict(
    webp=dict(format='WEBP'),
    webp_with_profile=dict(format='WEBP', icc_profile=b'profile'),
    tiff=dict(format='TIFF', compression='jpeg'))


@pytest.mark.parametrize('form', LOSSY)
def test_what_is_stored_with_loss(tmp_path, form):
    """A WebP of 0, 1, 2, 3, 4 came out as 2, 2, 2, 2, 0."""
    path = tmp_path / 'a.png'
    FORMS['grey_in_rgb'].save(path, **LOSSY[form])
    for read in (read_mask, mask_palette):
        with pytest.raises(ValueError, match='stored with loss: save masks'):
            read(path)
    options = dict(lossless=True, compression='tiff_lzw')
    FORMS['grey_in_rgb'].save(path, **dict(LOSSY[form], **options))
    assert np.array_equal(read_mask(path), NUMBERS)


def test_what_is_no_mask(tmp_path):
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='from 0 to 255, but got 300'):
        read_mask(tmp_path / 'a.png')
    # cast to uint8 it would be void
    Image.fromarray(np.full((4, 4), -1, np.int32)).save(tmp_path / 'a.tif')
    with pytest.raises(ValueError, match='from 0 to 255, but got -1'):
        read_mask(tmp_path / 'a.tif')
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'b.png')
    with pytest.raises(ValueError, match='1600 colours: save masks as pal'):
        mask_palette(tmp_path / 'b.png')
    Image.fromarray(noise).convert('CMYK').save(tmp_path / 'c.tif')
    with pytest.raises(ValueError, match='mode is CMYK: convert it'):
        read_mask(tmp_path / 'c.tif')
