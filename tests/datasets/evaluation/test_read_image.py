"""Every form of an image against OpenCV or the pixels it was made of."""
import io
import os
import struct
import subprocess
import warnings

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageFile

from dora_mm.datasets.evaluation.read_image import (check_numbers,
                                                    decode_image, files_below,
                                                    image_files, read_image)
from dora_mm.datasets.evaluation.read_mask import read_mask

GREY = np.linspace(0, 255, 48 * 32).reshape(48, 32).astype(np.uint8)
RGB = np.stack((GREY, 255 - GREY, GREY.T.reshape(48, 32)), -1)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_opencv(pixels, kind):
    return cv2.imencode(f'.{kind}', pixels)[1].tobytes()


def cases():
    """Name, file, expected pixels, largest difference."""
    three = np.repeat(GREY[..., None], 3, 2)
    wide = GREY.astype(np.uint16) * 257
    alpha = np.dstack((RGB, GREY))
    palette = Image.fromarray(RGB).quantize(16)
    shown = np.array(palette.getpalette()[:48]).reshape(16,
                                                        3)[np.array(palette)]
    black = GREY > 127
    yield 'grey', encode(Image.fromarray(GREY), 'png'), three, 0
    yield 'grey, 16 bits', with_opencv(wide, 'png'), three, 0
    for kind in ('tiff', 'pgm'):
        yield f'grey, 16 bits, {kind}', with_opencv(wide, kind), three, 0
    big = Image.frombytes('I;16B', (32, 48), wide.astype('>u2').tobytes())
    yield 'grey, big endian', encode(big, 'tiff'), three, 0
    yield 'colour, 16 bits', with_opencv(
        RGB[..., ::-1].astype(np.uint16) * 257, 'png'), RGB, 0
    yield 'two values', encode(Image.fromarray(black).convert('1'),
                               'png'), np.repeat(255 * black[..., None], 3,
                                                 2), 0
    yield 'palette', encode(palette, 'png'), shown, 0
    yield 'palette, transparent', encode(
        palette, 'png', transparency=3), shown, 0
    yield 'palette, gif', encode(palette, 'gif'), shown, 0
    yield 'alpha', encode(Image.fromarray(alpha), 'png'), RGB, 0
    yield 'grey, alpha', encode(Image.fromarray(alpha[..., 2:], 'LA'),
                                'png'), np.repeat(alpha[..., 2:3], 3, 2), 0
    yield 'lossless webp', encode(
        Image.fromarray(RGB), 'webp', lossless=True), RGB, 0
    for name, options in (('jpeg', {}), ('progressive jpeg',
                                         dict(progressive=True))):
        data = encode(Image.fromarray(RGB), 'jpeg', **options)
        yield name, data, cv2.imdecode(np.frombuffer(data, np.uint8),
                                       1)[..., ::-1], 0
    # ink is stored inverted, with Adobe's marker
    cmyk = encode(Image.fromarray(RGB).convert('CMYK'), 'jpeg', quality=100)
    assert b'Adobe' in cmyk
    yield 'CMYK', cmyk, RGB, 12


with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    CASES = list(cases())


@pytest.mark.parametrize('case', CASES, ids=[case[0] for case in CASES])
def test_pixels(case):
    _, data, expected, error = case
    found = decode_image(data, 'a')
    assert found.dtype == np.uint8 and found.shape == (48, 32, 3)
    assert np.abs(found.astype(int) - expected).max() <= error


# Where the first row and the first column of the file are shown.
ORIENTATIONS = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}  # yapf: disable


@pytest.mark.parametrize('turn', ORIENTATIONS)
@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp', 'tiff'])
def test_orientation_is_not_applied_unless_asked_for(tmp_path, kind, turn):
    """PIL applies that of a TIFF unasked, that of no other file."""
    exif = Image.Exif()
    exif[0x112] = turn
    image = Image.fromarray(RGB)
    options = dict(lossless=True) if kind == 'webp' else {}
    path = tmp_path / f'a.{kind}'
    path.write_bytes(encode(image, kind, exif=exif, **options))
    stored = decode_image(encode(image, kind, **options), 'plain')
    assert stored.shape == RGB.shape
    assert np.array_equal(read_image(path), stored)
    shown = read_image(path, upright=True)
    assert np.array_equal(shown, ORIENTATIONS[turn](stored))
    if kind == 'jpeg':
        found = cv2.imread(str(path))[..., ::-1]
        assert found.shape == shown.shape
        assert np.abs(found.astype(int) - shown).max() <= 2
    if kind in ('png', 'tiff'):
        Image.fromarray(GREY).save(path, exif=exif)
        assert np.array_equal(read_mask(path), GREY)


@pytest.mark.parametrize('share', [.3, .95])
@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp', 'gif', 'bmp', 'tiff'])
def test_half_a_file_is_refused(kind, share):
    """OpenCV gives grey pixels for the end of a JPEG."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(ValueError, match='^b.x cannot be decoded: '):
        decode_image(data[:int(share * len(data))], 'b.x')
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize('progressive', [False, True])
def test_zeros_in_place_of_the_end_are_no_pixels(progressive):
    """A download that reserved its place and was cut off."""
    small = encode(Image.fromarray(RGB[:16, :16]), 'jpeg')
    exif = Image.Exif()
    exif[0x9286] = small  # has an end of its own
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    data = encode(
        Image.fromarray(noise), 'jpeg', exif=exif, progressive=progressive)
    assert data.count(b'\xff\xd9') == 2
    assert decode_image(data + b'\0' * 99, 'b.x').shape == noise.shape
    for share in (.5, .9, .999):
        kept = data[:int(share * len(data))]
        with pytest.raises(ValueError, match='^b.x cannot be decoded: '):
            decode_image(kept.ljust(len(data), b'\0'), 'b.x')


NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.mark.parametrize('options', [
    dict(), dict(progressive=True), dict(restart_marker_blocks=4),
    dict(quality=100, subsampling=0)])  # yapf: disable
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_missing_data_in_front_of_an_end(mode, options):
    """As tools that mend a JPEG leave it; OpenCV gives grey pixels."""
    image = Image.fromarray(NOISE).convert(mode)
    data = encode(image, 'jpeg', **options)
    end = len(data) - 2
    for kept in (.5, .8):
        cut = data[:int(kept * end)] + data[end:]
        shown = cv2.imdecode(np.frombuffer(cut, np.uint8), 1)
        assert shown.shape == NOISE.shape
        for behind in (b'', b'more'):
            with pytest.raises(ValueError, match='missing: get it again, or'):
                decode_image(cut + behind, 'b.x')
    # by the remedy
    anew = encode(Image.open(io.BytesIO(cut)), 'jpeg')
    assert decode_image(anew, 'b.x').shape == NOISE.shape


def test_a_jpeg_that_ends_where_decoding_restarts_is_refused():
    """Another warning than elsewhere, and grey rows all the same."""
    image = Image.fromarray(np.random.default_rng(0).integers(
        0, 256, (240, 320, 3), np.uint8))  # yapf: disable
    data = encode(image, 'jpeg', restart_marker_blocks=20)
    places = [i for i in range(len(data) // 2, len(data) - 1)
              if data[i] == 0xff and 0xd0 <= data[i + 1] <= 0xd7]
    cut = data[:places[0]] + b'\xff\xd9'
    shown = cv2.imdecode(np.frombuffer(cut, np.uint8), 1)
    assert (shown[-20:] == 128).all()
    with pytest.raises(ValueError, match='a part of its data is missing'):
        decode_image(cut, 'b.x')
    assert decode_image(data, 'b.x').shape == (240, 320, 3)


def sound_jpegs():
    """Of several writers, and with bytes too many."""
    for sampling in (0x411111, 0x221111, 0x211111, 0x121111, 0x111111):
        options = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        yield cv2.imencode('.jpg', NOISE, options)[1].tobytes()
    for pixels in ('yuvj420p', 'yuvj422p', 'yuvj444p'):
        yield subprocess.run([
            imageio_ffmpeg.get_ffmpeg_exe(), '-v', 'error', '-f', 'rawvideo',
            '-pix_fmt', 'rgb24', '-s', '80x60', '-i', '-', '-pix_fmt', pixels,
            '-f', 'mjpeg', '-'
        ], input=NOISE.tobytes(), check=True, capture_output=True).stdout
    image = Image.fromarray(NOISE)
    two = dict(save_all=True, append_images=[image])
    yield encode(image, 'mpo', **two)
    yield encode(image, 'jpeg', keep_rgb=True)
    data = encode(image, 'jpeg', restart_marker_blocks=4)
    yield data + bytes(99)
    for marker in (b'\xff\xc4', b'\xff\xd0', b'\xff\xd9'):
        place = data.find(marker)
        yield data[:place] + b'\1\2\3' + data[place:]
        yield data[:place] + b'\xff\xff' + data[place:]


def test_a_jpeg_that_decodes_whole_is_taken():
    for data in sound_jpegs():
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), 1)[..., ::-1]
        found = decode_image(data, 'b.x')
        assert np.abs(found.astype(int) - expected).max() <= 2


def test_what_is_no_image_is_said_without_an_address():
    with pytest.raises(ValueError, match='^a.jpg .*its 6 bytes are no image'):
        decode_image(b'<html>', 'a.jpg')


def test_an_unknown_range_is_refused(tmp_path):
    for values in (np.full((4, 4), 0.5,
                           np.float32), np.full((4, 4), 70000, np.int32)):
        data = encode(Image.fromarray(values), 'tiff')
        with pytest.raises(ValueError, match='c must have 8 or 16 bits'):
            decode_image(data, 'c')
    with pytest.raises(ValueError, match='cannot be read: No such file'):
        read_image(tmp_path / 'none.png')


def tiff(samples, size, bits, white):
    """A TIFF of grey from the bytes of its samples."""
    entries = {
        256: size[1], 257: size[0], 258: bits, 259: 1, 262: 1 - white,
        273: 122, 277: 1, 278: size[0], 279: len(samples)
    }  # yapf: disable
    parts = [struct.pack('<HHII', tag, 4, 1, v) for tag, v in entries.items()]
    return b'II*\0\x08\0\0\0\x09\0' + b''.join(parts) + bytes(4) + samples


@pytest.mark.parametrize('bits,white', [(8, 1), (12, 0), (16, 0), (16, 1)])
def test_grey_of_a_tiff_is_shown_as_it_says(tmp_path, bits, white):
    """12 bits came out nearly black, 16 with white as 0 inverted."""
    values = np.linspace(0, 2**bits - 1, 48 * 32).astype(np.uint16)
    samples = values.astype(f'<u{bits // 8}').tobytes()
    if bits == 12:  # two in three bytes, the upper ones first
        one, two = values[::2], values[1::2]
        samples = np.stack((one >> 4, (one & 15) << 4 | two >> 8, two & 255),
                           1).astype(np.uint8).tobytes()
    data = tiff(samples, (48, 32), bits, white)
    # OpenCV gives 12 bits as the upper ones of 16, and no colours of them
    flag = cv2.IMREAD_UNCHANGED if bits == 12 else cv2.IMREAD_COLOR
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if bits == 12:
        expected = np.repeat(expected[..., None] >> 8, 3, 2)
    assert abs(expected.mean() - 127.5) < 1 and np.ptp(expected) == 255
    assert np.array_equal(decode_image(data, 'a'), expected)
    if white:
        path = tmp_path / 'a.tif'
        path.write_bytes(data)
        with pytest.raises(ValueError, match='as they are, but is a TIFF of'):
            read_mask(path)


def test_files_in_the_order_of_their_numbers(tmp_path):
    for name in ('10.jpg', '9.JPG', '._9.jpg', 'Thumbs.db', '.DS_Store'):
        (tmp_path / name).touch()
    assert [p.name for p in image_files(tmp_path)] == ['9.JPG', '10.jpg']
    check_numbers(image_files(tmp_path))
    (tmp_path / '12.png').touch()
    with pytest.raises(ValueError, match='got 12.png after number 10: get'):
        check_numbers(image_files(tmp_path))
    (tmp_path / 'odd.png').touch()  # names that say nothing
    check_numbers(image_files(tmp_path))
    (tmp_path / '9.png').touch()
    with pytest.raises(ValueError, match='got 9.JPG and 9.png: remove one'):
        image_files(tmp_path)


def test_links_are_followed(tmp_path):
    """Folders of classes are often links; pathlib's search leaves them out."""
    (tmp_path / 'far/.hidden').mkdir(parents=True)
    (tmp_path / 'here').mkdir()
    for name in ('far/a.png', 'far/.hidden/b.png', 'here/c.png'):
        (tmp_path / name).touch()
    (tmp_path / 'here/link').symlink_to(tmp_path / 'far')
    (tmp_path / 'here/again').symlink_to(tmp_path / 'here')
    (tmp_path / 'here/d.png').symlink_to(tmp_path / 'far/a.png')
    found = [p.relative_to(tmp_path) for p in files_below(tmp_path / 'here')]
    assert list(map(str, found)) == ['here/c.png', 'here/d.png',
                                     'here/link/a.png']  # yapf: disable
    (tmp_path / 'far/a.png').unlink()
    with pytest.raises(ValueError, match='d.png must be .* link to nothing'):
        files_below(tmp_path / 'here')
    os.mkfifo(tmp_path / 'far/pipe.png')  # reading it would wait for ever
    with pytest.raises(ValueError, match='pipe.png must be a file'):
        files_below(tmp_path / 'far')


def test_no_wrong_bit_of_a_png_is_shown():
    """In the name of the palette one made grey of its colours."""
    stream = io.BytesIO()
    mask = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), 'P')
    mask.putpalette(np.random.default_rng(0).bytes(768))
    mask.save(stream, 'PNG')
    data = stream.getvalue()
    right = decode_image(data, 'sound.png')
    for place in range(8, len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        try:
            shown = decode_image(bytes(damaged), 'damaged.png')
        except ValueError as error:
            assert 'damaged.png' in str(error)
        else:  # in the mark of the end
            assert place >= len(data) - 12 and np.array_equal(shown, right)
    # What follows the end, and zeros of a download, is no part of it.
    assert np.array_equal(decode_image(data + b'\0' * 99, 'longer.png'), right)
