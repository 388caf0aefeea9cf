"""Numbers out of every form of a mask."""
import numpy as np
import pytest
from PIL import Image

from dora_mm.datasets.evaluation.read_mask import (mask_palette, read_mask,
                                                   voc_palette)

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
    with pytest.raises(ValueError, match=r'got \[0, 255, 0\] in row 0, colum'):
        read_mask(tmp_path / 'a.png')


def test_what_is_no_mask(tmp_path):
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='numbers up to 255, but got 300'):
        read_mask(tmp_path / 'a.png')
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / 'b.png')
    with pytest.raises(ValueError, match='1600 colours: save masks as pal'):
        mask_palette(tmp_path / 'b.png')
    Image.fromarray(noise).convert('CMYK').save(tmp_path / 'c.tif')
    with pytest.raises(ValueError, match='mode is CMYK: convert it'):
        read_mask(tmp_path / 'c.tif')
