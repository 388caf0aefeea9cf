"""Retrieval of patches against loops, and through the command."""
import math
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from PIL import Image

from dora_mm import config_path
from dora_mm.datasets import SemanticMaskDataset
from dora_mm.engine.loops.dense_knn_loop import DenseKNNLoop, patch_labels
from dora_mm.evaluation import IoUMetric
from dora_mm.registry import DATASETS


def test_patch_labels_against_loops():
    rng = np.random.default_rng(0)
    mask = rng.choice([0, 1, 2, 255], (6, 9)).astype(np.uint8)
    mask[:3, :3] = 255
    found = patch_labels(torch.from_numpy(mask), 3, 4)
    for row in range(2):
        for column in range(3):
            pixels = mask[3 * row:3 * row + 3, 3 * column:3 * column + 3]
            counted = [int(p) for p in pixels.flat if p != 255]
            expected = [
                counted.count(c) / max(len(counted), 1) for c in range(4)
            ]
            assert found[3 * row + column].tolist() == pytest.approx(expected)


def test_segmentation_against_loops():
    generator = torch.Generator().manual_seed(0)
    memory = F.normalize(torch.randn(40, 5, generator=generator), dim=1)
    labels = torch.rand(40, 3, generator=generator)
    queries = F.normalize(torch.randn(2, 6, 5, generator=generator), dim=-1)
    loop = DenseKNNLoop.__new__(DenseKNNLoop)
    loop.patch, loop.num_neighbours, loop.temperature = 1, 4, 0.1
    found = loop._segment(queries, (memory, labels), (2, 3))
    for image in range(2):
        for place in range(6):
            dots = [float(queries[image, place] @ row) for row in memory]
            near = sorted(range(40), key=lambda i: -dots[i])[:4]
            weights = [math.exp(dots[i] / 0.1) for i in near]
            scores = [
                sum(w * float(labels[i, c]) for w, i in zip(weights, near))
                for c in range(3)
            ]
            assert found[image].flatten()[place] == np.argmax(scores)


def test_lowest_temperatures():
    """The nearest patch alone, and below float32's range an error."""
    generator = torch.Generator().manual_seed(0)
    memory = F.normalize(torch.randn(40, 5, generator=generator), dim=1)
    labels = torch.eye(40)
    loop = DenseKNNLoop.__new__(DenseKNNLoop)
    loop.patch, loop.num_neighbours, loop.temperature = 1, 4, 1.2e-38
    found = loop._segment(memory[None, 3:9], (memory, labels), (2, 3))
    assert found.flatten().tolist() == list(range(3, 9))
    for temperature in (0, 1e-39, 1e-46):
        with pytest.raises(ValueError, match=f'got {temperature}: take 0.02'):
            DenseKNNLoop(None, None, None, None, temperature=temperature)


def test_iou_against_sets():
    rng = np.random.default_rng(0)
    metric, pixels = IoUMetric(), []
    for number in range(3):
        pred = rng.integers(0, 3, (5, 7))
        mask = np.where(rng.random((5, 7)) < 0.6, pred, rng.integers(0, 3))
        mask[0, :2] = 255
        metric.process(None, [
            dict(
                pred=torch.from_numpy(pred),
                mask=torch.from_numpy(mask),
                num_classes=5)
        ])
        pixels += [(p, m) for p, m in zip(pred.flat, mask.flat) if m != 255]
    ious = []
    for c in range(3):  # the other two occur nowhere
        both = sum(p == m == c for p, m in pixels)
        ious.append(both / sum(p == c or m == c for p, m in pixels))
    assert metric.evaluate(3) == pytest.approx({
        'dense/mIoU':
        100 * np.mean(ious),
        'dense/accuracy':
        100 * np.mean([p == m for p, m in pixels])
    })


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """Halves of pure colours, a class each, with some pixels left out."""
    root = tmp_path_factory.mktemp('voc')
    for name in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / name).mkdir(parents=True)
    names = dict(train=['a', 'b', 'c'], val=['d', 'e'])
    for split, members in names.items():
        (root / f'ImageSets/Segmentation/{split}.txt').write_text(
            '\n'.join(members))
    colours = ((220, 40, 40), (40, 220, 40), (40, 40, 220))
    for i, name in enumerate('abcde'):
        mask = np.zeros((64, 96), np.uint8)
        mask[:, :48], mask[:, 48:] = i % 3, (i + 1) % 3
        image = np.array(colours, np.uint8)[mask]
        mask[:4] = 255
        Image.fromarray(image).save(
            root / f'JPEGImages/{name}.jpg', quality=95)
        Image.fromarray(mask).save(root / f'SegmentationClass/{name}.png')
    return root


@pytest.mark.parametrize('memory_size', [1024000, 30])
def test_command(evaluate, voc, memory_size):
    """Colours tell these classes apart, with all patches and with ten of
    each image."""
    loader = 'test_cfg.memory_dataloader'
    metrics = evaluate(
        'hummingbird_voc.py', 'colour', voc,
        f'test_cfg.memory_size={memory_size}', 'test_cfg.num_neighbours=5',
        'test_dataloader.dataset.size=64', f'{loader}.dataset.size=64',
        'test_dataloader.num_workers=0', f'{loader}.num_workers=0')
    assert metrics['dense/mIoU'] > 90


def test_masks_of_all_forms(voc, tmp_path):
    """Classes in VOC's colours, with or without transparency."""
    shutil.copytree(voc, tmp_path / 'voc')
    path = tmp_path / 'voc/SegmentationClass/b.png'
    colours = np.zeros((256, 4), np.uint8)
    colours[[1, 2, 255], :3] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
    colours[[1, 2], 3] = 255, 7
    expected = SemanticMaskDataset(str(voc), 'train', size=32)[1]
    for channels in (3, 4):
        ids = np.array(Image.open(voc / 'SegmentationClass/b.png'))
        Image.fromarray(colours[ids][..., :channels].copy()).save(path)
        item = SemanticMaskDataset(str(tmp_path / 'voc'), 'train', size=32)[1]
        assert torch.equal(item['data_samples'].mask,
                           expected['data_samples'].mask)
    Image.fromarray(ids.T.copy()).save(path)
    with pytest.raises(ValueError, match=r'\(64, 96\) rows.*got \(96, 64\)'):
        SemanticMaskDataset(str(tmp_path / 'voc'), 'train')[1]
    with pytest.raises(ValueError, match=r"of \['train', 'val'\], but got"):
        SemanticMaskDataset(str(voc), 'trainval')


def test_masks_are_checked(voc, tmp_path):
    with pytest.raises(ValueError, match="missing or empty.*split='test'"):
        SemanticMaskDataset(str(voc), 'test')
    item = SemanticMaskDataset(str(voc), 'train', size=32)[1]
    assert item['inputs'].shape == (3, 32, 32)
    assert item['data_samples'].mask.unique().tolist() == [1, 2, 255]
    with pytest.raises(ValueError, match='class numbers below 2'):
        SemanticMaskDataset(str(voc), 'train', num_classes=2)[1]


LAYOUTS = dict(
    ade20k=('images/{}/{}.jpg', 'annotations/{}/{}.png',
            ('training', 'validation')),
    cityscapes=('leftImg8bit/{}/town/{}_leftImg8bit.png',
                'gtFine/{}/town/{}_gtFine_labelTrainIds.png',
                ('train', 'val')))
LAYOUTS['coco-stuff'] = ('images/{}2017/{}.jpg',
                         'annotations/{}2017/{}_labelTrainIds.png',
                         ('train', 'val'))


@pytest.mark.parametrize('name', LAYOUTS)
def test_other_layouts_hold_the_same(voc, tmp_path, name):
    """The images and masks of the VOC folder, where other sets keep them."""
    image_path, mask_path, splits = LAYOUTS[name]
    cfg = Config.fromfile(config_path(f'evaluation/hummingbird_{name}'))
    items = (cfg.test_cfg.memory_dataloader.dataset,
             cfg.test_dataloader.dataset)
    for split, there, item in zip(('train', 'val'), splits, items):
        expected = SemanticMaskDataset(str(voc), split, size=32)
        for each in expected.names:
            mask = np.array(Image.open(voc / f'SegmentationClass/{each}.png'))
            if name == 'ade20k':  # its labels begin with 1, and 0 is none
                mask = np.where(mask == 255, 0, mask + 1)
            for path, picture in ((image_path,
                                   Image.open(voc / f'JPEGImages/{each}.jpg')),
                                  (mask_path, Image.fromarray(mask))):
                path = tmp_path / path.format(there, each)
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == '.jpg':
                    shutil.copy(voc / f'JPEGImages/{each}.jpg', path)
                else:
                    picture.save(path)
        _litter(tmp_path, there)
        found = DATASETS.build(dict(item, root=str(tmp_path), size=32))
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert torch.equal(one['inputs'], other['inputs'])
            assert torch.equal(one['data_samples'].mask,
                               other['data_samples'].mask)
    with pytest.raises(ValueError, match=rf'beside it are .*{there}'):
        DATASETS.build(dict(item, root=str(tmp_path), split='vall'))


def _litter(root, split):
    """What other programs leave behind, and endings in capitals."""
    for folder in list(root.rglob('*')):
        if folder.is_dir() and split in str(folder):
            for name in ('.DS_Store', '._a.jpg', '._a.png', 'Thumbs.db'):
                (folder / name).write_bytes(b'\0\xff')
            copies = folder / '.ipynb_checkpoints'
            copies.mkdir()
            for path in folder.glob('[a-z]*.*g'):
                shutil.copy(path, copies)
                path.rename(path.with_suffix(path.suffix.upper()))


def test_share(voc):
    """Some of the images, the same ones for a seed, in the order of all."""
    drawn = set()
    for seed in range(20):
        found = SemanticMaskDataset(str(voc), 'train', share=0.5, seed=seed)
        assert len(found) == 2 and found.names == sorted(found.names)
        again = SemanticMaskDataset(str(voc), 'train', share=0.5, seed=seed)
        assert found.names == again.names
        drawn.add(tuple(found.names))
    assert len(drawn) == 3
    with pytest.raises(ValueError, match=r'share must lie in .*got 8'):
        SemanticMaskDataset(str(voc), 'train', share=8)
    with pytest.raises(ValueError, match='end in .gif, but there is none'):
        SemanticMaskDataset(str(voc), 'val', image_suffix='.gif', lists=None)
