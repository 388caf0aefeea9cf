import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from dora_mm.datasets import ClassFolderDataset
from dora_mm.datasets.evaluation import class_folder_dataset
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


def write(path, colour=(9, 9, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), colour, np.uint8)).save(path)


@pytest.fixture
def uneven(tmp_path):
    """Class a is only in train, d only in test, e nowhere; hidden things."""
    root = tmp_path / 'uneven'
    for name in ('train/a', 'train/b', 'train/c', 'test/b', 'test/c', 'test/d',
                 'train/.ipynb_checkpoints', '.cache/b', '__MACOSX/z'):
        write(root / name / '0.png')
    write(root / 'train/b/._1.png')
    write(root / 'train/b/deep/1.png')
    (root / 'train/e').mkdir()
    (root / 'train/b/notes.txt').touch()
    archive = tmp_path / 'uneven.tar'
    with tarfile.open(archive, 'w') as file:
        file.add(root, './data/uneven')
    return root, archive


@pytest.mark.parametrize('form', [0, 1])
def test_a_number_is_one_class_in_all_splits(uneven, form, monkeypatch):
    said = []
    monkeypatch.setattr(class_folder_dataset, 'print_log',
                        lambda text, **kwargs: said.append(text))
    sets = {
        split: ClassFolderDataset(str(uneven[form]), split, PIPELINE)
        for split in ('train', 'test')
    }
    labels = {
        split: [dataset[i]['gt_label'] for i in range(len(dataset))]
        for split, dataset in sets.items()
    }
    assert labels == dict(train=[0, 1, 2], test=[1, 2, 3])
    for dataset in sets.values():
        assert dataset.metainfo['classes'] == ('a', 'b', 'c', 'd')
    text = '\n'.join(said)
    assert "split 'train': has no images of 1 of 4 classes" in text
    assert 'such as d' in text and 'such as a' in text
    # the file in a folder too deep, the text, and the empty folder
    assert ('3 entries passed over, no SPLIT/CLASS/IMAGE'
            if form == 0 else '2 entries passed over, no SPLIT') in text


def test_splits_that_there_are(uneven):
    for root in uneven:
        with pytest.raises(
                ValueError, match=r"one of \['test', 'train'\], but got"):
            ClassFolderDataset(str(root), 'vall', PIPELINE)


@pytest.mark.parametrize('share', [0.1, 0.3, 0.5, 0.77, 0.999])
def test_part_of_a_tar_file_is_refused(image_set, tmp_path, share):
    """Wherever it ends: tarfile takes what is no header for the end."""
    data = image_set[1].read_bytes()
    for size in (int(share * len(data)), int(share * len(data)) // 512 * 512):
        (tmp_path / 'a.tar').write_bytes(data[:size])
        try:
            dataset = ClassFolderDataset(
                str(tmp_path / 'a.tar'), 'train', PIPELINE)
        except ValueError as error:
            assert 'get it again' in str(error)
        else:  # only what fills it up is lost
            assert len(dataset) == 21 and not any(data[size - 1024:])


def test_damaged_tar_files_are_refused(image_set, tmp_path):
    data = bytearray(image_set[1].read_bytes())
    second = data.index(b'set/train', 600)
    for damage in (b'\xff' * 512, bytes(512), bytes(len(data) - second)):
        hurt = bytearray(data)
        hurt[second:second + len(damage)] = damage
        (tmp_path / 'a.tar').write_bytes(hurt + bytes(2 << 20) *
                                         (len(damage) > 512))
        with pytest.raises(ValueError, match='whole tar file, but after'):
            ClassFolderDataset(str(tmp_path / 'a.tar'), 'train', PIPELINE)


def test_the_last_of_a_name_counts(tmp_path):
    write(tmp_path / 'old.png', (1, 1, 1))
    write(tmp_path / 'new.png', (2, 2, 2))
    with tarfile.open(tmp_path / 'a.tar', 'w') as file:
        file.add(tmp_path / 'old.png', 'train/a/x.png')
        file.add(tmp_path / 'new.png', 'train/a/x.png')
    dataset = ClassFolderDataset(str(tmp_path / 'a.tar'), 'train', PIPELINE)
    assert len(dataset) == 1 and dataset[0]['img'].max() == 2
    (tmp_path / 'link.png').symlink_to('old.png')
    with tarfile.open(tmp_path / 'b.tar', 'w') as file:
        file.add(tmp_path / 'link.png', 'train/a/x.png')
    with pytest.raises(ValueError, match='x.png is a link'):
        ClassFolderDataset(str(tmp_path / 'b.tar'), 'train', PIPELINE)
