"""Images as clips of one frame."""
import tarfile

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from tiny import build_runner, model_cfg

from dora_mm import config_path
from dora_mm.datasets import ClipRandomResizedCrop, ImageClipDataset
from dora_mm.datasets.evaluation import image_source
from dora_mm.datasets.evaluation.packed_list import PackedList
from dora_mm.engine.run_facts import run_facts

PACK = [dict(type='dora_mm.PackClipInputs')]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def photos(tmp_path):
    """A landscape, the same turned by a telephone, a grey one of 16 bits."""
    folder = tmp_path / 'photos'
    (folder / 'b').mkdir(parents=True)
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(picture).save(folder / '0.png')
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(picture).copy()).save(folder / 'b/1.png',
                                                   exif=exif)
    Image.fromarray(np.full((50, 44), 0x7f00, np.uint16)).save(folder /
                                                               'b/2.png')
    (folder / '.ipynb_checkpoints').mkdir()
    (folder / '.ipynb_checkpoints/3.png').write_text('none')
    return folder, picture


def test_pixels_are_upright_from_every_source(photos, tmp_path):
    folder, picture = photos
    grey = np.full((50, 44, 3), 127, np.uint8)
    names = ['0.png', 'b/1.png', 'b/2.png']
    lines = '\r\n'.join([*names, '', ''])
    (tmp_path / 'list.txt').write_text(lines, encoding='utf-8-sig')
    with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
        archive.add(folder / 'b/2.png', names[0])  # added again below
        for name in names:
            archive.add(folder / name, name)
    for source, root in ((folder, None), (tmp_path / 'list.txt', folder),
                         (tmp_path / 'a.tar', None)):
        data = ImageClipDataset(source, PACK, root)
        assert len(data) == 3
        for i, expected in enumerate((picture, picture, grey)):
            sample = data[i, 7]
            clip = sample['inputs'].permute(0, 2, 3, 1).numpy()
            np.testing.assert_array_equal(clip, expected[None])
            meta = sample['data_samples']
            assert (meta.video_path, meta.seed, meta.num_replaced,
                    meta.start_frame) == (names[i], 7, 0, 0)


def test_the_crop_is_that_of_the_seed(photos):
    folder, picture = photos
    crop = dict(type='dora_mm.ClipRandomResizedCrop', size=24)
    data = ImageClipDataset(folder, [crop, *PACK])
    x, y, w, h = ClipRandomResizedCrop(24).draw_box(40, 60, 11)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(picture[None, y:y + h, x:x + w].copy()).permute(
            0, 3, 1, 2), (24, 24),
        mode='bilinear',
        antialias=True)
    assert torch.equal(data[0, 11]['inputs'], expected)
    assert torch.equal(data[1, 11]['inputs'], expected)


def test_links_count_and_other_files_are_named(photos, tmp_path, monkeypatch):
    folder, _ = photos
    said = []
    monkeypatch.setattr(image_source, 'print_log',
                        lambda text, **_: said.append(text))
    (tmp_path / 'all').mkdir()
    (tmp_path / 'all/n1').symlink_to(folder)
    (tmp_path / 'all/a.jfif').touch()
    assert len(ImageClipDataset(tmp_path / 'all', PACK)) == 3
    assert len(said) == 1 and '1 file passed over' in said[0]
    assert 'a.jfif' in said[0]
    (tmp_path / 'a.json').write_text('{"images": [{"id": 1, "file_name": 5}]}')
    with pytest.raises(ValueError, match='must be a COCO file with file_name'):
        ImageClipDataset(tmp_path / 'a.json', PACK)


def test_damaged_images_are_replaced_and_counted(photos):
    folder, _ = photos
    whole = (folder / '0.png').read_bytes()
    for i in range(3, 9):
        (folder / f'{i}.png').write_bytes(whole[:len(whole) // 2])
    data = ImageClipDataset(folder, PACK, max_replacements=50)
    found = [data[1, seed]['data_samples'] for seed in range(8)]  # 3.png
    assert {meta.video_path for meta in found
            } <= {'0.png', 'b/1.png', 'b/2.png'}
    assert all(meta.num_replaced >= 1 for meta in found)
    assert data[1, 3]['data_samples'].video_path == found[3].video_path
    for path in (folder / '0.png', folder / 'b/1.png', folder / 'b/2.png'):
        path.write_bytes(b'')
    with pytest.raises(RuntimeError, match='51 clips.*Repair the images'):
        data[0, 0]


def test_mistakes_are_named(photos, tmp_path):
    with pytest.raises(ValueError, match='max_replacements must .*got -1'):
        ImageClipDataset(photos[0], PACK, max_replacements=-1)
    (tmp_path / 'v.mp4').touch()
    with pytest.raises(ValueError, match='images must .*clip_len=1'):
        ImageClipDataset(tmp_path / 'v.mp4', PACK)
    with pytest.raises(IndexError, match='image 3 of 3'):
        ImageClipDataset(photos[0], PACK)[3]


def test_packed_list_is_a_list():
    items = [dict(name='é' * i, id=i) for i in range(9)]
    packed = PackedList(items)
    assert list(packed) == items and packed[-1] == items[-1]
    with pytest.raises(IndexError):
        packed[9]


@pytest.mark.parametrize('name', ['DINO', 'DoRA'])
def test_a_run_on_images(name, photos, tmp_path):
    """With the data of the shipped config; objects from one frame, too."""
    loader = Config.fromfile(config_path('dino/vit-s16_images')
                             ).train_dataloader
    loader.dataset.images = str(photos[0])
    loader.update(
        batch_size=3, num_workers=0, persistent_workers=False, timeout=0)
    runner = build_runner(
        tmp_path / 'run',
        [dict(type='dora_mm.ReplacedClipHook')],
        max_epochs=2,
        model=model_cfg(name),
        train_dataloader=loader)
    before = runner.model.backbone.cls_token.detach().clone()
    runner.train()
    assert runner.iter == 2
    assert not torch.equal(runner.model.backbone.cls_token, before)
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert np.isfinite(losses).all()
    # another set of as many images is told from this one
    facts = run_facts(runner)['videos']
    (photos[0] / '0.png').rename(photos[0] / '9.png')
    again = ImageClipDataset(photos[0], PACK)
    assert facts[0][:2] == again.digest[:2] and facts[0] != again.digest
