"""LOST against plain numpy, and the labels that it is compared with."""
import json

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from PIL import Image
from tiny import build_model

from dora_mm.datasets import ObjectBoxDataset
from dora_mm.models import ObjectDiscovery
from dora_mm.models.evaluators.lost import lost_box


def slow_lost(keys, grid, k):
    """As the docstring says it, in numpy and loops."""
    products = keys @ keys.T
    num = len(keys)
    degree = [
        sum(products[i, j] > 0 for j in range(num) if j != i)
        for i in range(num)
    ]
    order = sorted(range(num), key=lambda i: (degree[i], i))
    seed = order[0]
    voters = [i for i in order[:k] if products[seed, i] > 0] or [seed]
    votes = products[voters].sum(0)
    region, border = {seed}, [seed]
    while border and votes[seed] > 0:
        row, column = divmod(border.pop(), grid[1])
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            r, c = row + dr, column + dc
            place = r * grid[1] + c
            if 0 <= r < grid[0] and 0 <= c < grid[1] \
                    and votes[place] > 0 and place not in region:
                region.add(place)
                border.append(place)
    rows, columns = zip(*(divmod(place, grid[1]) for place in region))
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


@pytest.mark.parametrize('seed', range(20))
def test_against_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    grid, k = ((6, 9), 5) if seed % 2 else ((11, 4), 100)
    # halves, so that every product is exact and ties are ties
    keys = torch.randint(
        -3, 4, (grid[0] * grid[1], 3), generator=generator).float() / 2
    assert lost_box(keys, grid, k) == slow_lost(keys.numpy(), grid, k)


def test_an_object_is_found():
    """Few patches of one direction before many of the opposite one."""
    keys = torch.full((8, 10, 2), -1.)
    keys[2:5, 3:7] = 1.
    assert lost_box(keys.flatten(0, 1), (8, 10)) == (3, 2, 7, 5)


def test_detector_takes_the_keys_of_the_padded_image(tmp_path):
    model = build_model().eval()
    torch.save(
        dict(state_dict=model.state_dict(), meta={}), tmp_path / 'a.pth')
    detector = ObjectDiscovery(
        dict(
            type='dora_mm.load_backbone',
            source=str(tmp_path / 'a.pth'),
            num_heads=4,
            img_size=32,
            norm_eps=1e-6,
            activation='gelu'),
        mean=(100., 110., 120.),
        std=(50., 60., 70.),
        num_patches=9)
    image = torch.randint(
        256, (3, 29, 44),
        generator=torch.Generator().manual_seed(0),
        dtype=torch.uint8)
    padded = torch.zeros(1, 3, 32, 48)
    for c, (mean, std) in enumerate(((100, 50), (110, 60), (120, 70))):
        padded[0, c, :29, :44] = (image[c].float() - mean) / std
    backbone, last = detector.backbone, []
    handle = backbone.layers[-1].attn.qkv.register_forward_hook(
        lambda module, args, out: last.append(out))
    with torch.no_grad():
        backbone(padded)
    handle.remove()
    keys = last[0][0, 1:].unflatten(1, (3, -1))[:, 1].numpy()
    expected = np.array(slow_lost(keys, (4, 6), 9), float) * 8
    expected = expected.clip(0, (44, 29, 44, 29))
    sample, = detector([image], [DataSample()])
    assert np.array_equal(sample.pred_boxes['lost'], expected)
    with pytest.raises(ValueError, match='backbone must be a ViT'):
        ObjectDiscovery(
            dict(type='dora_mm.load_backbone', source='colour'), (0., ) * 3,
            (1., ) * 3)


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    """Three images; one without an object."""
    root = tmp_path_factory.mktemp('voc')
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, boxes in dict(
            a=[(1, 1, 20, 30), (5, 6, 9, 9)], b=[(3, 4, 40, 30)],
            c=[]).items():
        Image.fromarray(rng.integers(0, 256, (37, 50, 3), np.uint8)).save(
            root / f'JPEGImages/{name}.jpg')
        objects = ''.join('<object><difficult>1</difficult><bndbox>' + ''.join(
            f'<{tag}>{value}</{tag}>'
            for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box)) +
                          '</bndbox></object>' for box in boxes)
        (root / f'Annotations/{name}.xml'
         ).write_text(f'<annotation>{objects}</annotation>')
    (root / 'ImageSets/Main/trainval.txt').write_text('a\nb\nc\n')
    return root


def test_voc_and_coco_are_the_same(voc, tmp_path):
    one = ObjectBoxDataset(str(voc))
    assert len(one) == 2
    # VOC counts from 1, both ends included
    boxes = one[0]['data_samples'].boxes
    assert boxes.tolist() == [[0, 0, 20, 30], [4, 5, 9, 9]]

    (tmp_path / 'train').symlink_to(voc / 'JPEGImages')
    annotations = [
        dict(image_id=7, bbox=[0, 0, 20, 30]),
        dict(image_id=7, bbox=[1, 1, 5, 5], iscrowd=1),
        dict(image_id=7, bbox=[4, 5, 5, 4]),
        dict(image_id=8, bbox=[2, 3, 38, 27]),
        dict(image_id=9, bbox=[2, 3, 3, 2]),
    ]
    images = [
        dict(id=i, file_name=f'{n}.jpg')
        for i, n in ((7, 'a'), (8, 'b'), (9, 'c'))
    ]
    (tmp_path / 'a.json').write_text(
        json.dumps(dict(images=images, annotations=annotations)))
    (tmp_path / 'ids.txt').write_text('train_000007.jpg\ntrain_000008.jpg\n')
    other = ObjectBoxDataset(str(tmp_path), 'train', 'a.json', 'ids.txt')
    assert len(other) == 2
    for i in range(2):
        assert torch.equal(one[i]['inputs'], other[i]['inputs'])
        assert np.array_equal(one[i]['data_samples'].boxes,
                              other[i]['data_samples'].boxes)
    with pytest.raises(ValueError, match='check root'):
        ObjectBoxDataset(str(tmp_path))
    (voc / 'Annotations/d.xml').write_text('<annotation><object></object>')
    (voc / 'ImageSets/Main/bad.txt').write_text('d')
    with pytest.raises(ValueError, match='d.xml must be labels in Pascal'):
        ObjectBoxDataset(str(voc), 'bad')


def coco(folder, **changes):
    data = dict(
        images=[dict(id=1, file_name='a.jpg', height=37, width=50)],
        annotations=[dict(image_id=1, bbox=[0, 0, 20, 30])])
    data.update(changes)
    (folder / 'a.json').write_text(json.dumps(data), encoding='utf-8-sig')
    return ObjectBoxDataset(str(folder), 'train', 'a.json')


def test_labels_that_are_none(voc, tmp_path):
    (tmp_path / 'train').symlink_to(voc / 'JPEGImages')
    assert len(coco(tmp_path)) == 1
    twice = 2 * [dict(id=1, file_name='a.jpg')]
    with pytest.raises(ValueError, match='2 images of 1 ids: get it again'):
        coco(tmp_path, images=twice)
    crowd = [dict(image_id=1, bbox=[0, 0, 9, 9], iscrowd=1)]
    # four boxes of three numbers are no three boxes of four
    for box in ([0, 0, 9], 'abcd', None):
        with pytest.raises(ValueError, match='must be a JSON file in COCO'):
            coco(tmp_path, annotations=4 * [dict(image_id=1, bbox=box)])
    with pytest.raises(ValueError, match='image 1 must have boxes from left'):
        coco(tmp_path, annotations=[dict(image_id=1, bbox=[9, 0, -4, 9])])
    for changes, message in ((dict(annotations=crowd), 'of 1 images none'),
                             (dict(images=[]), 'of 0 images none')):
        with pytest.raises(ValueError, match=message):
            coco(tmp_path, **changes)
    wrong = [dict(image_id=1, bbox=[0, 0, float('nan'), 9])]
    with pytest.raises(ValueError, match='image 1 must have finite boxes'):
        coco(tmp_path, annotations=wrong)
    for text in ('', '{}', '{"images": []}', '[]', '{"images": [{}]}'):
        (tmp_path / 'b.json').write_text(text)
        with pytest.raises(ValueError, match=r"b.json must be a JSON file in"):
            ObjectBoxDataset(str(tmp_path), 'train', 'b.json')
    coco(tmp_path)
    (tmp_path / 'ids.txt').write_text('1\r\n5\r\n')
    with pytest.raises(ValueError, match='1 are not there, such as 5'):
        ObjectBoxDataset(str(tmp_path), 'train', 'a.json', 'ids.txt')
    (tmp_path / 'ids.txt').write_text('a.jpg')
    with pytest.raises(ValueError, match="ids.txt has 'a.jpg': get it again"):
        ObjectBoxDataset(str(tmp_path), 'train', 'a.json', 'ids.txt')


def test_labels_count_pixels_as_stored(voc, tmp_path):
    """The image notes that it is to be turned; its labels did not."""
    exif = Image.Exif()
    exif[0x112] = 6
    (tmp_path / 'train').mkdir()
    with Image.open(voc / 'JPEGImages/a.jpg') as image:
        image.save(tmp_path / 'train/a.jpg', exif=exif, quality=95)
    assert coco(tmp_path)[0]['inputs'].shape == (3, 37, 50)
    turned = [dict(id=1, file_name='a.jpg', height=50, width=37)]
    with pytest.raises(ValueError, match=r'\(50, 37\).*has \(37, 50\) as st'):
        coco(tmp_path, images=turned)[0]
