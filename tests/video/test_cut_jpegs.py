"""A part of a JPEG decodes to the pixels that the whole has there."""
import io

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image
from video_factory import HEIGHT, WIDTH, write_video

from dora_mm.datasets import WalkingToursVideoDataset
from dora_mm.datasets.transforms import (ClipRandomResizedCrop,
                                         LoadClipFromVideo, PackClipInputs)
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.writers import MJPEGWriter
from dora_mm.video.readers import MJPEGReader, VideoDecodeError
from dora_mm.video.readers.cut_jpegs import cut_jpegs, note_stretches
from dora_mm.video.readers.mjpeg_reader import decode_jpegs

RNG = np.random.default_rng


def noise(height, width, mode='RGB', seed=0, **settings):
    """A JPEG of noise that says where it restarts, and its pixels."""
    pixels = RNG(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, 'JPEG', **settings)
    jpeg = note_stretches(file.getvalue())
    return jpeg, simplejpeg.decode_jpeg(file.getvalue())


def random_boxes(height, width, number):
    rng = RNG(height + width)
    yield 0, 0, width, height
    for pixels in (1, 2, 3, 4):
        yield width - pixels, height - 1, pixels, 1
    for _ in range(number):
        w, h = rng.integers(1, (width + 1, height + 1)).tolist()
        yield (*rng.integers((width - w + 1, height - h + 1)).tolist(), w, h)


@pytest.mark.parametrize('mode, subsampling, interval, height, width', [
    ('RGB', '4:2:0', 1, 600, 1066),
    ('RGB', '4:2:0', 3, 480, 854),
    ('RGB', '4:2:0', 1, 131, 97),
    ('RGB', '4:2:0', 1, 64, 100),
    ('RGB', '4:2:0', 4, 64, 64),
    ('RGB', '4:2:2', 2, 90, 94),
    ('RGB', '4:4:4', 3, 53, 120),
    ('L', 0, 5, 75, 113),
])
def test_pixels_of_a_part(mode, subsampling, interval, height, width):
    jpeg, pixels = noise(
        height,
        width,
        mode,
        subsampling=subsampling,
        restart_marker_blocks=interval)
    smaller = 0
    for x, y, w, h in random_boxes(height, width, 40):
        (cut, ), (left, top, *size) = cut_jpegs([jpeg], (x, y, w, h))
        assert size == [w, h]
        smaller += len(cut) < len(jpeg)
        part = simplejpeg.decode_jpeg(cut)[top:top + h, left:left + w]
        assert np.array_equal(part, pixels[y:y + h, x:x + w])
    assert smaller > 20


def test_what_cannot_be_cut_stays_as_it_is():
    whole, _ = noise(96, 144, restart_marker_blocks=3)
    note = whole.index(b'stretches')
    first = whole[note + 9:note + 13]  # two stretches
    # The box needs nothing of the first column.
    box = (60, 10, 30, 40)
    others = {
        'no note': whole[:2] + whole[note + 9 + 2 * 18:],
        'a note of another length': whole.replace(
            b'stretches' + first, b'stretches' + first[:2], 1),
        'a note of another picture': whole.replace(
            first, first[2:] + first[:2], 1),
        'a note that is too long by a byte': whole.replace(
            first, bytes((*first[:3], first[3] ^ 1)), 1),
        'no restarts': noise(96, 144)[0],
        'restarts at other places of each row': noise(
            96, 144, restart_marker_blocks=2)[0],
        'several scans': noise(
            96, 144, progressive=True, restart_marker_blocks=3)[0],
        'a mark out of turn': whole.replace(b'\xff\xd3', b'\xff\xd5', 1),
        'a scan of one plane': whole.replace(b'\xff\xda\x00\x0c\x03',
                                             b'\xff\xda\x00\x0c\x01', 1),
        'no room for a size': bytes.fromhex(
            'ffd8ffdd00040001ffc00002ffdaffd9'),
        'its end is missing': whole[:-300],
        'a mark is missing': whole.replace(b'\xff\xd3', b'\x00\x00', 1),
        'its head is missing': whole[:5],
        'its factors are damaged': whole.replace(b'\x03\x01\x22\x00',
                                                 b'\x03\x01\x00\x00', 1),
        'no JPEG': b'RIFF' + bytes(200),
        'empty': b'',
    }  # yapf: disable
    assert len(set(others.values()) - {whole}) == len(others)
    for what, jpeg in others.items():
        assert cut_jpegs([jpeg], box) == ([jpeg], box), what
        assert cut_jpegs([whole, jpeg], box) == ([whole, jpeg], box), what
    assert len(cut_jpegs([whole], box)[0][0]) < len(whole)
    other = noise(96, 160, restart_marker_blocks=2)[0]
    assert cut_jpegs([whole, other], box) == ([whole, other], box)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cut')
    done, errors = prepare_videos([write_video(folder / 'v.mp4', 40)],
                                  folder / 'out', PrepareSettings('mjpeg'))
    assert not errors
    return done[0].path


def test_boxes_of_a_prepared_video(prepared):
    reader = MJPEGReader(str(prepared))
    numbers = [7, 3, 39]
    frames = reader.get_frames(numbers)
    for box in random_boxes(*frames.shape[1:3], 20):
        found, chosen = reader.get_box(numbers, lambda *size: box)
        x, y, w, h = chosen
        assert np.array_equal(found, frames[:, y:y + h, x:x + w])
    corner = cut_jpegs(reader.get_jpegs(numbers), (0, 0, 20, 20))[0]
    assert simplejpeg.decode_jpeg(corner[0]).shape == (24, 49, 3)


@pytest.mark.parametrize('width, height, blocks', [
    (854, 480, 3),  # 54 columns
    (1066, 600, 1),  # 67, a prime
    (4112, 2016, 1),  # 257, a prime, and 126 rows: 32,382 stretches
    (4112, 2160, 257),  # 135 rows: a comment has no room for so many
    (4064, 2176, 2),
    (8192, 4352, 8),
])
def test_large_pictures_can_be_cut(width, height, blocks):
    """Of 257 columns of blocks and 2160 rows every box cost all pixels."""
    ramp = np.arange(width * height, dtype=np.uint32) * 7 >> 9
    luma = ramp.astype(np.uint8).reshape(height, width)
    jpeg = MJPEGWriter.encode([luma, *[luma[::2, ::2]] * 2])
    place = jpeg.index(b'\xff\xdd\x00\x04')  # the interval of restarts
    assert int.from_bytes(jpeg[place + 4:place + 6], 'big') == blocks
    x, y, w, h = box = (width - 300, height // 2, 200, 100)
    (cut, ), (left, top, *size) = cut_jpegs([jpeg], box)
    part = simplejpeg.decode_jpeg(cut)
    assert size == [w, h] and part.shape[0] < height // 2
    assert np.array_equal(part[top:top + h, left:left + w],
                          simplejpeg.decode_jpeg(jpeg)[y:y + h, x:x + w])


def test_a_note_changes_no_pixel_and_is_not_in_a_part():
    jpeg, pixels = noise(96, 144, restart_marker_blocks=3)
    assert jpeg.count(b'stretches') == 1
    assert np.array_equal(simplejpeg.decode_jpeg(jpeg), pixels)
    (cut, ), _ = cut_jpegs([jpeg], (60, 40, 5, 5))
    assert b'stretches' not in cut
    # Too often for a comment, and not at all.
    for settings in (dict(restart_marker_blocks=1), {}):
        jpeg, _ = noise(2400, 3600, **settings)
        assert b'stretches' not in jpeg
    stretch = noise(16, 4096, quality=100, restart_marker_blocks=256)[0]
    assert len(stretch) > 1 << 16 and b'stretches' not in stretch


def test_damaged_factors_are_damage():
    """simplejpeg 1.9 has no name for the factors 1x4."""
    jpeg = noise(64, 64)[0].replace(b'\x03\x01\x22\x00', b'\x03\x01\x14\x00')
    with pytest.raises(VideoDecodeError, match='the JPEG of frame 7 is damag'):
        decode_jpegs([jpeg], 'v.mp4', [7])


@pytest.mark.parametrize('height, width', [(64, 48), (32, 32), (80, 64)])
def test_pictures_of_another_size_are_refused(height, width):
    """A buffer of as many bytes took them, and gave skewed pictures."""
    jpegs = [noise(48, 64)[0], noise(height, width)[0]]
    with pytest.raises(VideoDecodeError, match='frame 8 .*(size|buffer)'):
        decode_jpegs(jpegs, 'v.mp4', [7, 8])


def seen(results):
    """What a user may put between reading and cropping."""
    assert results['clip'].shape == (4, HEIGHT, WIDTH, 3)
    return results


class OwnCrop(ClipRandomResizedCrop):
    """A user's, which looks at the frames."""

    def transform(self, results):
        return super().transform(seen(results))


def test_a_crop_behind_reading_changes_no_pixel(prepared):
    """Of the same seed, decoded as a box or as whole frames."""
    load = LoadClipFromVideo()

    def clips(*pipeline):
        return WalkingToursVideoDataset(
            str(prepared), clip_len=4, frame_stride=3, pipeline=pipeline)

    def drawn(*between, crop=ClipRandomResizedCrop):
        dataset = clips(load, *between, crop(size=48), PackClipInputs())
        return [dataset[i, i]['inputs'] for i in range(10)]

    boxes = drawn()
    assert all(inputs.is_contiguous() for inputs in boxes)
    assert len({inputs.numpy().tobytes() for inputs in boxes}) == 10
    assert all(map(torch.equal, boxes, drawn(seen)))
    assert all(map(torch.equal, boxes, drawn(crop=OwnCrop)))
    seen(clips(load)[0])  # in another pipeline, with nothing behind it


def test_noise_is_encoded_too():
    """Pillow has room for a byte a pixel where it optimises codes."""
    planes = [
        255 * RNG(0).integers(0, 2, size, np.uint8)
        for size in ((480, 854), (240, 427), (240, 427))
    ]
    jpeg = MJPEGWriter.encode(planes)
    assert len(jpeg) > 480 * 854
    assert simplejpeg.decode_jpeg(jpeg).shape == (480, 854, 3)


@pytest.mark.parametrize('width, interval', [(134, 3), (1066, 1), (854, 3),
                                             (960, 4), (16, 1)])
def test_restarts_fit_into_a_row(width, interval):
    planes = [
        RNG(0).integers(0, 256, size, np.uint8)
        for size in ((32, width), (16, width // 2), (16, width // 2))
    ]
    jpeg = MJPEGWriter.encode(planes)
    place = jpeg.index(b'\xff\xdd\x00\x04')
    assert int.from_bytes(jpeg[place + 4:place + 6], 'big') == interval
    # The planes are those that were given: a flat colour of each block stays.
    flat = [np.full_like(plane, v) for plane, v in zip(planes, (90, 60, 200))]
    image = Image.open(io.BytesIO(MJPEGWriter.encode(flat)))
    image.draft('YCbCr', image.size)
    assert np.abs(np.asarray(image).astype(int) - (90, 60, 200)).max() <= 1
