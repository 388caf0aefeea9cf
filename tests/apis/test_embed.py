"""Features of images as files: tools/embed.py and what it is made of."""
import json
import runpy
import shutil
import tarfile

import numpy as np
import pytest
import torch
from clean_python import ROOT
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, resize
from video_factory import read_number, write_video

from dora_mm import config_path
from dora_mm.apis.embed_images import embed_images
from dora_mm.datasets.evaluation.image_source import ImageSource
from dora_mm.models import ModelLoader

DEMO = config_path('dora/vit-t16_demo.py')
SIZE = 32
MEAN = np.array((123.675, 116.28, 103.53))
STD = np.array((58.395, 57.12, 57.375))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Five images of different sizes, two of them deeper."""
    folder = tmp_path_factory.mktemp('images')
    random = np.random.default_rng(0)
    (folder / 'b').mkdir()
    for name, (height, width) in {
            'a.png': (40, 60), 'b/1.png': (50, 44), 'b/2.png': (36, 36),
            'c.png': (33, 90), 'd.png': (70, 41)}.items():  # yapf: disable
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / '.hidden.png').write_text('no image')
    return folder


@pytest.fixture(scope='module')
def backbone():
    return ModelLoader(DEMO).backbone()


@torch.no_grad()
def by_hand(backbone, path):
    """Tokens of an image alone, resized and cropped by torchvision."""
    image = resize(
        Image.open(path), SIZE * 256 // 224, InterpolationMode.BICUBIC)
    pixels = np.asarray(center_crop(image, SIZE), float)
    inputs = torch.from_numpy((pixels - MEAN) / STD).float()
    return backbone(inputs.permute(2, 0, 1)[None])[-1][0].numpy()


def embed(source, backbone, out, **options):
    options = dict(dict(size=SIZE, batch_size=2, num_workers=0), **options)
    path = embed_images(source, backbone, out, **options)
    return np.load(path), json.loads((out / 'index.json').read_text())


@pytest.mark.parametrize('feature', ['cls', 'mean', 'dense'])
def test_features_are_those_of_each_image_alone(folder, backbone, tmp_path,
                                                feature):
    rows, index = embed(
        ImageSource(folder), backbone, tmp_path, feature=feature)
    names = [image['name'] for image in index['images']]
    assert names == ['a.png', 'b/1.png', 'b/2.png', 'c.png', 'd.png']
    tokens = np.stack([by_hand(backbone, folder / name) for name in names])
    expected = dict(
        cls=tokens[:, 0],
        mean=tokens[:, 1:].mean(1),
        dense=tokens[:, 1:].reshape(5, 2, 2, -1))
    np.testing.assert_allclose(rows, expected[feature], atol=1e-4)
    assert rows.dtype == np.float32 and len(list(tmp_path.iterdir())) == 2


def test_one_process_writes_at_a_time(folder, backbone, tmp_path):
    """A second emptied the rows of the first, which was said to be whole."""
    source = ImageSource(folder)
    right, _ = embed(source, backbone, tmp_path / 'right')

    class Calls(nn.Module):
        """What to call for each batch, the backbone from then on."""
        patch_size = backbone.patch_size

        def __init__(self, *calls):
            super().__init__()
            self.calls = list(calls)

        def forward(self, images):
            return (self.calls.pop(0) if self.calls else backbone)(images)

    def begin_again(images):
        """The same command, killed in its second batch."""
        with pytest.raises((ValueError, ZeroDivisionError)) as ended:
            embed(source, Calls(backbone, lambda _: 1 / 0), tmp_path / 'out')
        refusals.append(str(ended.value))
        return backbone(images)

    refusals = []
    rows, _ = embed(source, Calls(backbone, backbone, begin_again),
                    tmp_path / 'out')
    np.testing.assert_array_equal(rows, right)
    assert '--out-dir must not be in use' in refusals[0]


def test_photos_are_turned_upright(backbone, tmp_path):
    """As DoRAInferencer does; a phone stores its portraits lying."""
    shown = np.random.default_rng(0).integers(0, 256, (48, 36, 3), np.uint8)
    exif = Image.Exif()
    exif[0x112] = 6  # stored: to be turned clockwise by 90 degrees
    Image.fromarray(np.rot90(shown).copy()).save(
        tmp_path / 'stored.png', exif=exif)
    Image.fromarray(shown).save(tmp_path / 'shown.png')
    rows, _ = embed(ImageSource(tmp_path), backbone, tmp_path / 'out')
    assert np.array_equal(*rows)
    with Image.open(tmp_path / 'stored.png') as image:
        assert image.size == (48, 36)


def sources(folder, tmp_path):
    """The images of the folder in other forms, in the order c, a."""
    (tmp_path / 'list.txt').write_text('c.png\n\na.png\n')
    (tmp_path / 'coco.json').write_text(
        json.dumps(
            dict(images=[
                dict(id=7, file_name='c.png'),
                dict(id=3, file_name='a.png')
            ])))
    with tarfile.open(tmp_path / 'x.tar', 'w') as archive:
        for name in ('c.png', 'a.png', '.hidden.png'):
            archive.add(folder / name, name)
    return [
        ImageSource(tmp_path / 'list.txt', folder),
        ImageSource(tmp_path / 'coco.json', folder),
        ImageSource(tmp_path / 'x.tar')
    ]


def test_lists_coco_and_tar_give_the_same_pixels(folder, tmp_path):
    expected = [np.asarray(Image.open(folder / f'{c}.png')) for c in 'ca']
    for source in sources(folder, tmp_path):
        assert len(source) == 2
        for number, pixels in enumerate(expected):
            np.testing.assert_array_equal(source.read(number), pixels)
    coco = ImageSource(tmp_path / 'coco.json', folder)
    assert [item['id'] for item in coco.items] == [7, 3]


def test_frames_of_a_video(tmp_path):
    path = write_video(tmp_path / 'v.mp4', 25)  # 10 a second
    source = ImageSource(path, interval=0.5)
    assert [item['frame'] for item in source.items] == [0, 5, 10, 15, 20]
    assert source.items[3]['seconds'] == 1.5
    assert [read_number(source.read(n)) for n in range(5)] == [
        0, 5, 10, 15, 20]  # yapf: disable


def test_a_frame_that_is_not_shown_yet_is_not_taken(tmp_path):
    """AVI counts in frames, and half of one was rounded up."""
    path = write_video(tmp_path / 'v.avi', 25, fps=10, codec='mjpeg',
                       pix_fmt='yuvj420p')
    found = ImageSource(path, interval=0.25).items
    assert [item['frame'] for item in found] == [0, 2, 5, 7, 10, 12, 15, 17,
                                                 20, 22]  # yapf: disable
    assert found[1]['seconds'] == 0.2


def test_an_interrupted_run_goes_on(folder, backbone, tmp_path, monkeypatch):
    """Rows that are done are not computed again; a bad image is named."""
    monkeypatch.setattr('dora_mm.apis.embed_images._SAVE_EVERY', 1)
    whole, _ = embed(ImageSource(folder), backbone, tmp_path / 'whole')
    source, read = ImageSource(folder), []

    def fails_at(number):

        def wrapped(index, upright):
            if index == number:
                raise ValueError('c.png cannot be decoded')
            read.append(index)
            return ImageSource.read(source, index, upright)

        return wrapped

    source.read = fails_at(3)
    out = tmp_path / 'part'
    with pytest.raises(ValueError, match='c.png cannot be decoded'):
        embed(source, backbone, out)
    assert not (out / 'features.npy').exists()
    read.clear()
    source.read = fails_at(None)
    rows, _ = embed(source, backbone, out)
    assert read == [2, 3, 4]
    np.testing.assert_allclose(rows, whole, atol=1e-5)
    # and what is finished is kept
    read.clear()
    embed(source, backbone, out)
    assert not read
    with pytest.raises(ValueError, match='feature cls instead of mean'):
        embed(source, backbone, out, feature='mean')


def test_features_of_an_image_that_has_changed_are_not_kept(
        folder, backbone, tmp_path):
    images = tmp_path / 'images'
    shutil.copytree(folder, images)
    embed(ImageSource(images), backbone, tmp_path / 'out')
    shutil.copy(images / 'd.png', images / 'a.png')
    with pytest.raises(ValueError, match='images_sha256 .* another folder'):
        embed(ImageSource(images), backbone, tmp_path / 'out')


def test_a_size_must_fit_into_memory(folder, backbone, tmp_path):
    """At 100,000 pixels a batch is of terabytes."""
    with pytest.raises(ValueError, match='size must be at most .* 2 images'):
        embed(ImageSource(folder), backbone, tmp_path / 'out', size=100000)
    assert not (tmp_path / 'out').exists()


def test_the_command(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tool = runpy.run_path(str(ROOT / 'tools/embed.py'))
    tool['main']([str(folder), 'colour', '--num-workers', '1'])
    rows = np.load(tmp_path / 'work_dirs/embed' / folder.name / 'features.npy')
    assert len(rows) == 5 and not np.allclose(rows[0], rows[1])


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('no.png', None, 'does not exist: check the path'),
    ('a.pdf', '', 'an image, a folder, .* but got .*a.pdf'),
    ('a.txt', 'a.png\nno.png', 'line 1 of .*a.txt .* which is no file'),
    ('a.txt', '\n', 'must hold images'),
    ('a.json', '{}', "a COCO file .* KeyError\\('images'\\)"),
    ('a.json', '{"images": [{"file_name": "x"}]}', 'a COCO file'),
    ('a.tar', 'no', 'no uncompressed tar file'),
])
def test_bad_sources_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        ImageSource(tmp_path / name)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(feature='max'), 'feature must be one of cls, mean, dense'),
    (dict(size=40), 'a multiple of 16 pixels, a patch, but got 40'),
    (dict(batch_size=0), 'batch_size must be at least 1'),
])
def test_bad_options_are_named(folder, backbone, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        embed(ImageSource(folder), backbone, tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()
