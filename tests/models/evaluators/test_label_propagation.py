"""Label propagation against loops over patches, and through the command."""
import math
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from dora_mm.datasets import DAVISDataset, VIPDataset
from dora_mm.datasets.evaluation.davis_dataset import protocol_size
from dora_mm.evaluation import VideoIoUMetric
from dora_mm.models import LabelPropagation
from dora_mm.models.evaluators import propagate_labels as label_propagation
from dora_mm.models.evaluators.propagate_labels import (decode_labels, nearest,
                                                        propagate_labels,
                                                        window_bias)

GRID = (5, 7)


def slow_propagate(target, sources, labels, radius, topk, temperature):
    """The loops of the module's docstring, in Python's floats."""
    rows, columns = GRID
    out = []
    for q in range(rows * columns):
        weights = []
        for s in range(len(sources)):
            for p in range(rows * columns):
                away = max(
                    abs(q // columns - p // columns),
                    abs(q % columns - p % columns))
                if radius and away > radius:
                    continue
                dot = sum(
                    a * b
                    for a, b in zip(target[q].tolist(), sources[s,
                                                                p].tolist()))
                weights.append((math.exp(dot / temperature), s, p))
        weights.sort(reverse=True)
        least = weights[min(topk, len(weights)) - 1][0]
        kept = [w for w in weights if w[0] >= least * (1 - 1e-9)]
        total = sum(w for w, _, _ in kept)
        out.append([
            sum(w * float(labels[s, p, c]) for w, s, p in kept) / total
            for c in range(labels.shape[2])
        ])
    return torch.tensor(out)


def case(seed, sources=3, twins=False):
    generator = torch.Generator().manual_seed(seed)
    num = GRID[0] * GRID[1]
    features = F.normalize(
        torch.randn(sources + 1, num, 6, generator=generator,
                    dtype=torch.float64),
        dim=-1)  # yapf: disable
    if twins:  # equal frames: every similarity twice
        features[2] = features[1]
    labels = torch.rand(
        sources, num, 3, generator=generator, dtype=torch.float64)
    return features[0], features[1:], labels


@pytest.mark.parametrize('limit', [1 << 20, 300])
@pytest.mark.parametrize(('radius', 'topk', 'twins'), [(0, 5, False),
                                                       (2, 5, False),
                                                       (1, 3, True),
                                                       (0, 200, False),
                                                       (1, 40, True)])
def test_against_loops(monkeypatch, radius, topk, twins, limit):
    """Also in pieces, with equal similarities, and with a topk larger than
    the window or than all there is."""
    monkeypatch.setitem(label_propagation._MAX_SIMILARITIES, 'cpu', limit)
    target, sources, labels = case(radius + topk, twins=twins)
    bias = window_bias(GRID, radius)
    found = propagate_labels(target, sources, labels, bias, topk, 0.3)
    expected = slow_propagate(target, sources, labels, radius, topk, 0.3)
    torch.testing.assert_close(found.float(), expected)


@pytest.mark.parametrize('twins', [False, True])
def test_low_temperatures(twins):
    """exp(1 / 0.005) is more than float32 holds; Python's floats hold it."""
    target, sources, labels = case(3, twins=twins)
    target[0] = sources[1, 4]
    found = propagate_labels(target.float(), sources.float(), labels.float(),
                             window_bias(GRID, 0), 5, 0.005)
    expected = slow_propagate(target, sources, labels, 0, 5, 0.005)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    # in the limit those alone that are the nearest
    similarity = target.float() @ sources.flatten(0, 1).float().T
    nearest = similarity == similarity.amax(1, keepdim=True)
    shares = nearest.float() / nearest.sum(1, keepdim=True)
    found = propagate_labels(target.float(), sources.float(), labels.float(),
                             None, 5, 1.2e-38)
    torch.testing.assert_close(found, shares @ labels.flatten(0, 1).float())


@pytest.mark.parametrize('temperature', [0, 1e-39, 1e-46, float('nan'), 1e39])
def test_temperatures_out_of_range(temperature):
    """They gave labels that are no numbers."""
    message = (r'temperature must be above 0 .* got '
               rf'{re.escape(str(temperature))}: take 0.1')
    target, sources, labels = (part.float() for part in case(3))
    with pytest.raises(ValueError, match=message):
        propagate_labels(target, sources, labels, temperature=temperature)
    with pytest.raises(ValueError, match=message):
        LabelPropagation(
            None, (0., ) * 3, (1., ) * 3, temperature=temperature)


def test_what_is_not_finite_is_refused():
    target, sources, labels = case(0)
    sources[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match=r'sources.*nan at \[1, 2, 3\]'):
        propagate_labels(target, sources, labels)
    with pytest.raises(ValueError, match='temperature must be above 0'):
        propagate_labels(target, sources[:1], labels[:1], temperature=0)


@pytest.mark.parametrize('size', [(10, 14), (17, 23), (40, 3)])
def test_nearest_is_pils(size):
    image = np.random.default_rng(0).integers(0, 9, (30, 42), np.uint8)
    expected = np.array(
        Image.fromarray(image).resize(size[::-1], Image.Resampling.NEAREST))
    assert np.array_equal(nearest(torch.from_numpy(image), size), expected)


def test_decoding_stretches_each_class():
    """The second class is weak everywhere, yet wins at its own peak."""
    labels = torch.zeros(2, 2, 3)
    labels[..., 0] = torch.tensor([[.9, .8], [.6, .5]])
    labels[..., 1] = torch.tensor([[.1, .2], [.3, .4]])
    mask = decode_labels(labels.flatten(0, 1), (2, 2), 4, (8, 8))
    expected = torch.zeros(8, 8, dtype=torch.uint8)
    expected[4:] = 1
    assert torch.equal(mask[[0, 7]], expected[[0, 7]])
    # the third class is nowhere
    assert set(mask.unique().tolist()) == {0, 1}


class Colours(torch.nn.Module):
    """Mean colours as patch tokens."""
    patch_size = 8

    def forward(self, images):
        tokens = F.avg_pool2d(images, 8).flatten(2).mT
        return (torch.cat((tokens[:, :1], tokens), 1), )


def test_a_square_is_followed_as_by_loops():
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(
        60, (12, 3, 40, 56), generator=generator, dtype=torch.uint8)
    truth = torch.zeros(12, 40, 56, dtype=torch.uint8)
    for t in range(12):
        truth[t, 8:24, 8 + 2 * t:24 + 2 * t] = 1
        frames[t, 0][truth[t] > 0] += 190
    model = LabelPropagation(
        dict(type='dora_mm.load_backbone', source='colour'),
        mean=(90., 90., 90.),
        std=(60., 60., 60.),
        num_context=2,
        radius=2,
        batch_frames=5)
    model.backbone = Colours()
    masks = model.segment(frames, truth[0])
    assert torch.equal(masks[0], truth[0])
    for t in range(1, 12):
        both = ((masks[t] > 0) & (truth[t] > 0)).sum()
        assert both / ((masks[t] > 0) | (truth[t] > 0)).sum() > 0.6

    # the same by loops: the first frame and the last two, one by one
    images = (frames.float() - 90) / 60
    features = F.normalize(model.backbone(images)[0][:, 1:], dim=-1)
    first = F.one_hot(nearest(truth[0], GRID).long().flatten(), 2).float()
    known = {0: first}
    for t in range(1, 12):
        places = [0] + list(range(max(t - 2, 1), t))
        known[t] = slow_propagate(features[t], features[places],
                                  torch.stack([known[i] for i in places]), 2,
                                  5, 0.1)
        mask = decode_labels(known[t], GRID, 8, (40, 56))
        assert (mask != masks[t]).float().mean() < 0.002, t


def slow_videowalk(features, shares, context, radius, topk, temperature):
    """Labels of all frames, a patch at a time.

    The list of frames starts with as many copies of the first one as the
    context is long; of the context only a disk counts, of the first frame all.
    """
    places = [divmod(q, GRID[1]) for q in range(len(shares))]
    padded = [0] * context + list(range(len(features)))
    known = {0: shares}
    for t in range(1, len(features)):
        known[t] = np.zeros_like(shares)
        for q, (row, column) in enumerate(places):
            found = []
            for number, s in enumerate([0, *padded[t:t + context]]):
                for p, (y, x) in enumerate(places):
                    away = math.hypot(y - row, x - column)
                    if number == 0 or away < radius:
                        dot = float(features[t][q] @ features[s][p])
                        found.append((dot, s, p))
            found.sort(key=lambda item: -item[0])
            weights = [math.exp(dot / temperature) for dot, _, _ in found]
            for weight, (_, s, p) in zip(weights[:topk], found):
                known[t][q] += weight / sum(weights[:topk]) * known[s][p]
    return [known[t] for t in range(len(features))]


def test_videowalk_against_loops():
    """Labels, and masks as OpenCV resizes them."""
    rng = np.random.default_rng(3)
    frames = torch.from_numpy(
        rng.integers(0, 256, (7, 3, 40, 56), dtype=np.uint8))
    mask = np.zeros((50, 60), np.uint8)
    mask[10:33, 5:27], mask[22:45, 30:58] = 1, 2
    model = LabelPropagation(
        dict(type='dora_mm.load_backbone', source='colour'),
        mean=(90., ) * 3,
        std=(60., ) * 3,
        num_context=3,
        radius=2,
        topk=6,
        temperature=0.7,
        protocol='videowalk')
    model.backbone = Colours()
    resized = cv2.resize(mask, (56, 40), interpolation=cv2.INTER_NEAREST)
    onehot = np.stack([resized == i for i in range(3)], -1).astype(np.float32)
    shares = cv2.resize(onehot, GRID[::-1]).reshape(-1, 3)
    features = np.stack([f.numpy() for f in model._features(frames)])
    expected = slow_videowalk(features, shares, 3, 2, 6, 0.7)
    found = model.carry(frames, torch.from_numpy(shares))
    for labels, slow in zip(found, expected[1:]):
        np.testing.assert_allclose(labels, slow, atol=1e-5)

    masks = model.segment(frames, torch.from_numpy(mask)).numpy()
    for found, slow in zip(masks, expected):
        scores = cv2.resize(slow.reshape(*GRID, 3).astype(np.float32),
                            (56, 40))
        slow = Image.fromarray(scores.argmax(-1).astype(np.uint8)).resize(
            (60, 50), Image.Resampling.NEAREST)
        assert (found != np.array(slow)).mean() < 0.002


def test_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match='protocol must be dino or videow'):
        LabelPropagation(None, (0., ) * 3, (1., ) * 3, protocol='cropmae')


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_the_backbone_alone_works_in_another_precision(dtype):
    used = []

    class Linear(Colours):

        def forward(self, images):
            tokens = super().forward(images)[0] @ torch.eye(3)
            used.append(tokens.dtype)
            return (tokens, )

    model = LabelPropagation(
        dict(type='dora_mm.load_backbone', source='colour'),
        mean=(0., ) * 3,
        std=(255., ) * 3,
        dtype=dtype)
    model.backbone = Linear()
    frames = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    features = list(model._features(frames))
    assert used == [getattr(torch, dtype)] * 2
    expected = F.avg_pool2d(frames.float(), 8).flatten(2).mT
    expected = F.normalize(expected, dim=-1)
    for feature, exact in zip(features, expected):
        assert feature.dtype == torch.float32
        assert ((feature - exact).abs() > 1e-6).any() == (dtype == 'bfloat16')
        torch.testing.assert_close(feature, exact, atol=0.01, rtol=0)


@pytest.mark.parametrize('wrong', [
    dict(batch_frames=1.5),
    dict(batch_frames='2'),
    dict(batch_frames=0),
    dict(num_context=True),
    dict(topk=2.),
    dict(radius=-1),
])
def test_what_is_no_count_is_refused(wrong):
    """1.5 frames ended in the first video, with an error of torch's."""
    (name, value), = wrong.items()
    with pytest.raises(
            ValueError, match=f'{name} must be an integer .* got {value!r}'):
        LabelPropagation(None, (0., ) * 3, (1., ) * 3, **wrong)


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match='dtype must be float32, bfloat16'):
        LabelPropagation(None, (0., ) * 3, (1., ) * 3, dtype='int8')


@pytest.fixture(scope='module')
def davis(tmp_path_factory):
    """Two videos of 5 and 4 frames: a red disk, and a green one beside it."""
    root = tmp_path_factory.mktemp('davis')
    y, x = np.indices((64, 160))
    for name, frames in (('one', 5), ('two', 4)):
        for kind in ('JPEGImages', 'Annotations'):
            (root / kind / '480p' / name).mkdir(parents=True)
        for t in range(frames):
            image = np.full((64, 160, 3), 40, np.uint8)
            mask = np.zeros((64, 160), np.uint8)
            for i in range(2):
                disk = np.hypot(y - 30, x - 40 - 60 * i - 3 * t) < 20
                image[disk, i], mask[disk] = 220, i + 1
            Image.fromarray(image).save(
                root / f'JPEGImages/480p/{name}/{t:05}.jpg', quality=95)
            Image.fromarray(mask).save(root /
                                       f'Annotations/480p/{name}/{t:05}.png')
    return root


def test_dataset(davis):
    dataset = DAVISDataset(str(davis), short_side=64)
    assert [len(dataset[i]['inputs']) for i in range(2)] == [5, 4]
    item = dataset[0]
    sample = item['data_samples']
    assert item['inputs'].shape == (5, 3, 64, 128)  # 160 down to 64 n
    assert sample.frame_names[4] == '00004'
    assert sample.true_masks[1].max() == 2
    binary = DAVISDataset(str(davis), year=2016)[0]['data_samples']
    assert binary.first_mask.max() == 1
    assert (binary.first_mask > 0).sum() == (sample.first_mask > 0).sum()
    # of DAVIS itself: 480 x 854, and one that stands upright
    assert protocol_size((480, 854)) == (480, 832)
    assert protocol_size((1920, 1080)) == (832, 480)
    # CropMAE's on VIP: int(880 * 720 / 1280) = 495, down to 448
    assert protocol_size((720, 1280), long_side=880) == (448, 880)
    assert protocol_size((1280, 720), long_side=880) == (880, 448)


def test_split_file_and_mistakes(davis, tmp_path):
    with pytest.raises(ValueError, match='no videos in .*check root'):
        DAVISDataset(str(tmp_path))
    with pytest.raises(ValueError, match='year must be 2016 or 2017, but got'):
        DAVISDataset(str(davis), year=2018)
    for kind in ('JPEGImages', 'Annotations'):
        (tmp_path / kind).symlink_to(davis / kind)
    names = tmp_path / 'ImageSets/2017/val.txt'
    names.parent.mkdir(parents=True)
    names.write_text('two\nthree\n')
    dataset = DAVISDataset(str(tmp_path))
    assert dataset.videos == ['two', 'three']
    with pytest.raises(ValueError, match='video three must .* 0 frames and 0'):
        dataset[1]


def test_black_and_white_masks_are_of_2016(davis, tmp_path):
    white = tmp_path / 'Annotations/480p/one'
    white.mkdir(parents=True)
    (tmp_path / 'JPEGImages').symlink_to(davis / 'JPEGImages')
    for t in range(5):
        Image.fromarray(np.full((64, 160), 255,
                                np.uint8)).save(white / f'{t:05}.png')
    with pytest.raises(ValueError, match='need year=2016'):
        DAVISDataset(str(tmp_path))[0]
    assert DAVISDataset(str(tmp_path),
                        2016)[0]['data_samples'].first_mask.max() == 1


def test_command(evaluate, davis, tmp_path):
    """Colours follow disks of pure colour."""
    metrics = evaluate('davis2017.py', 'colour', davis,
                       'test_dataloader.num_workers=0',
                       f'test_evaluator.out_dir={tmp_path}/masks')
    assert metrics['davis/J-Mean'] > 80
    mask = np.array(Image.open(tmp_path / 'masks/two/00003.png'))
    assert mask.shape == (64, 160) and set(np.unique(mask)) == {0, 1, 2}


def test_vip(evaluate, davis, tmp_path):
    """The same videos in VIP's layout, and its mIoU in loops."""
    for ours, theirs in (('Annotations/480p', 'Annotations/Category_ids'),
                         ('JPEGImages/480p', 'Images')):
        (tmp_path / theirs).parent.mkdir(exist_ok=True)
        shutil.copytree(davis / ours, tmp_path / theirs)
    (tmp_path / 'lists').mkdir()
    (tmp_path / 'lists/val_videos.txt').write_text('one\ntwo\n')
    metrics = evaluate('vip.py', 'colour', tmp_path,
                       'test_dataloader.num_workers=0',
                       'test_dataloader.dataset.long_side=320')
    assert metrics['vip/mIoU'] > 80

    item = VIPDataset(str(tmp_path), long_side=160)[1]['data_samples']
    assert item.true_masks.shape == (4, 64, 160)
    found = np.roll(item.true_masks, 5, 2)
    metric = VideoIoUMetric()
    metric.process(None, [
        dict(pred_masks=found, true_masks=item.true_masks, num_classes=20)
    ])
    ious = []
    for part in range(3):
        both = [(a == part, b == part)
                for a, b in zip(found.flat, item.true_masks.flat)]
        ious.append(sum(a and b for a, b in both) / sum(a or b
                                                        for a, b in both))
    assert metric.evaluate(1)['vip/mIoU'] == pytest.approx(100 *
                                                           np.mean(ious))

    (tmp_path / 'Images/two/00001.jpg').unlink()
    with pytest.raises(ValueError, match='got 3 frames and 4 masks'):
        VIPDataset(str(tmp_path))[1]
    with pytest.raises(ValueError, match=r"of \['val'\], but .*split='test'"):
        VIPDataset(str(tmp_path), 'test')


def copy_of(davis, tmp_path):
    root = tmp_path / 'copy'
    shutil.copytree(davis, root)
    return root


def test_splits_that_do_not_exist_are_refused(davis, tmp_path):
    root = copy_of(davis, tmp_path)
    lists = root / 'ImageSets/2017'
    lists.mkdir(parents=True)
    # as written on Windows, with a byte order mark and blank lines
    (lists / 'val.txt').write_bytes(b'\xef\xbb\xbftwo\r\n\r\none\r\n')
    (lists / 'train.txt').write_text('one')
    (lists / '._train.txt').touch()
    assert DAVISDataset(str(root)).videos == ['two', 'one']
    assert DAVISDataset(str(root), split='train').videos == ['one']
    with pytest.raises(ValueError, match=r"\['train', 'val'\], but got.*vall"):
        DAVISDataset(str(root), split='vall')
    with pytest.raises(ValueError, match=r'one of \[\], but got.*vall'):
        DAVISDataset(str(davis), split='vall')
    (lists / 'val.txt').write_text('one\ntwo\none')
    with pytest.raises(ValueError, match='but got one more often'):
        DAVISDataset(str(root))


def test_hidden_things_are_skipped(davis, tmp_path):
    root = copy_of(davis, tmp_path)
    for kind in ('JPEGImages', 'Annotations'):
        (root / kind / '480p/.ipynb_checkpoints').mkdir()
        (root / kind / '480p/.DS_Store').touch()
        (root / kind / '480p/one/._00000.png').touch()
    dataset = DAVISDataset(str(root), short_side=64)
    assert dataset.videos == ['one', 'two']
    assert len(dataset[0]['inputs']) == 5


def test_frames_and_masks_are_as_stored(davis, tmp_path):
    """A camera's note that a frame is to be turned, in one of them."""
    root = copy_of(davis, tmp_path)
    path = root / 'JPEGImages/480p/two/00001.jpg'
    exif = Image.Exif()
    exif[0x112] = 6
    with Image.open(path) as image:
        image.save(path, exif=exif, quality=95)
    found, plain = (
        DAVISDataset(str(r), short_side=64)[1]['inputs'].int()
        for r in (root, davis))
    assert found.shape == plain.shape and (found - plain).abs().max() < 30
    # a mask of another size
    mask = root / 'Annotations/480p/two/00002.png'
    Image.open(mask).transpose(Image.Transpose.ROTATE_90).save(mask)
    masks = DAVISDataset(str(root), short_side=64)[1]['data_samples']
    with pytest.raises(ValueError, match=r'\(64, 160\).*got \(160, 64\)'):
        masks.true_masks[2]


def test_masks_in_rgb_and_void(davis, tmp_path):
    root = copy_of(davis, tmp_path)
    for path in (root / 'Annotations/480p/two').iterdir():
        ids = np.array(Image.open(path))
        ids[0] = 255
        colours = np.zeros((256, 3), np.uint8)
        colours[[1, 2, 255]] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
        Image.fromarray(colours[ids]).save(path)
    for year in (2016, 2017):
        found, plain = (
            DAVISDataset(str(r), year, short_side=64)[1]['data_samples']
            for r in (root, davis))
        assert (found.first_mask[0] == 0).all()
        assert np.array_equal(found.first_mask[1:], plain.first_mask[1:])
        assert (found.true_masks[3][0] == 255).all()
        assert np.array_equal(found.true_masks[3][1:], plain.true_masks[3][1:])


@pytest.mark.parametrize(
    'gone',
    ['JPEGImages/480p/one/00002.jpg', 'Annotations/480p/one/00002.png'])
def test_incomplete_videos_are_refused(davis, tmp_path, gone):
    root = copy_of(davis, tmp_path)
    (root / gone).unlink()
    with pytest.raises(ValueError, match=r"1 name that.*\['00002'\]"):
        DAVISDataset(str(root))[0]


def test_a_test_split_gives_files(evaluate, davis, tmp_path, capsys):
    """Only first masks, as DAVIS's test-dev and test-challenge have them."""
    root = copy_of(davis, tmp_path)
    for path in (root / 'Annotations/480p').glob('*/*'):
        if path.stem != '00000':
            path.unlink()
    assert evaluate('davis2017.py', 'colour', root,
                    'test_dataloader.num_workers=0',
                    'test_dataloader.dataset.short_side=64') == {}
    out = capsys.readouterr().out
    assert 'labels of this split are not known' in out
    folder = tmp_path / 'evaluation/results/two'
    assert str(folder.parent) in out and len(list(folder.iterdir())) == 4
