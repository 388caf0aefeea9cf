import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from dora_mm.datasets import ClassFolderDataset
from dora_mm.datasets.transforms import DecodeImage

PIPELINE = [dict(type='dora_mm.DecodeImage')]


def test_folder_and_tar_are_the_same(image_set):
    sets = [
        ClassFolderDataset(str(root), 'train', PIPELINE) for root in image_set
    ]
    assert len(sets[0]) == len(sets[1]) == 21
    for dataset in sets:
        assert dataset.metainfo['classes'] == ('blue', 'green', 'red')
    for i in range(21):
        first, second = (dataset[i] for dataset in sets)
        assert first['gt_label'] == second['gt_label'] == i // 7
        assert first['sample_idx'] == i
        assert np.array_equal(first['img'], second['img'])
    path = image_set[0] / 'train/green/3.png'
    assert np.array_equal(sets[1][10]['img'], np.array(Image.open(path)))


def test_grey_images_get_three_channels():
    data = io.BytesIO()
    Image.fromarray(np.arange(12,
                              dtype=np.uint8).reshape(3, 4)).save(data, 'png')
    found = DecodeImage().transform(dict(img_bytes=data.getvalue()))
    assert found['img'].shape == (3, 4, 3)
    assert (found['img'][..., 2].ravel() == np.arange(12)).all()


def test_mistakes_are_named(image_set, tmp_path):
    with pytest.raises(ValueError, match="no images val/CLASS.*split='val'"):
        ClassFolderDataset(str(image_set[0]), 'val', PIPELINE)
    packed = tmp_path / 'set.tar'
    with tarfile.open(packed, 'w:gz') as file:
        file.add(image_set[0])
    with pytest.raises(ValueError, match='no uncompressed tar file'):
        ClassFolderDataset(str(packed), 'train', PIPELINE)
    with pytest.raises(ValueError, match='a.jpg cannot be decoded'):
        DecodeImage().transform(dict(img_bytes=b'no', img_path='a.jpg'))
