"""AO and SR against loops, and boxes through the command."""
import shutil

import numpy as np
import pytest
from PIL import Image

from dora_mm.datasets import GOT10kDataset
from dora_mm.evaluation import GOT10kMetric
from dora_mm.evaluation.box_overlap import box_overlap
from dora_mm.models.evaluators.box_tracker import box_mask, mask_box


def slow_overlap(a, b):
    """By counting the cells of a grid of quarters."""
    cells = [{(x, y)
              for x in range(round(4 * left), round(4 * right))
              for y in range(round(4 * top), round(4 * bottom))}
             for left, top, right, bottom in (a, b)]
    union = len(cells[0] | cells[1])
    return len(cells[0] & cells[1]) / union if union else 0.


def random_boxes(rng, number):
    corners = rng.integers(-20, 60, (number, 2, 2)) / 4
    return np.concatenate((corners.min(1), corners.max(1)), 1)


def test_overlap_against_counting():
    rng = np.random.default_rng(0)
    boxes, others = random_boxes(rng, 50), random_boxes(rng, 50)
    expected = [slow_overlap(a, b) for a, b in zip(boxes, others)]
    np.testing.assert_allclose(box_overlap(boxes, others), expected)


def test_metric_against_loops(tmp_path):
    rng = np.random.default_rng(1)
    metric, pooled = GOT10kMetric(str(tmp_path)), []
    for name, number in (('a', 30), ('b', 20)):
        truth = random_boxes(rng, number)
        found = truth + rng.integers(-4, 5, truth.shape) / 4
        visible = rng.random(number) < 0.7
        metric.process(None, [
            dict(
                name=name,
                boxes=truth,
                pred_boxes=found,
                visible=visible,
                ori_shape=(10, 12))
        ])
        for t in range(1, number):
            if visible[t]:
                clipped = [[
                    min(max(value, 0), limit)
                    for value, limit in zip(box, (12, 10, 12, 10))
                ] for box in (truth[t], found[t])]
                pooled.append(slow_overlap(*clipped))
    expected = {
        'got10k/AO': 100 * sum(pooled) / len(pooled),
        'got10k/SR0.50': 100 * sum(o > 0.5 for o in pooled) / len(pooled),
        'got10k/SR0.75': 100 * sum(o > 0.75 for o in pooled) / len(pooled)
    }
    assert metric.evaluate(2) == pytest.approx(expected)
    written = np.loadtxt(tmp_path / 'b/b_001.txt', delimiter=',')
    np.testing.assert_allclose(written[:, :2] + written[:, 2:], found[:, 2:])


def test_boxes_and_masks():
    mask = box_mask((3.2, -4, 8, 5.6), (10, 12))
    assert mask.sum() == 5 * 6
    assert mask_box(mask, None).tolist() == [3, 0, 8, 6]
    mask[9, 11] = 1  # a smaller piece
    assert mask_box(mask, None).tolist() == [3, 0, 8, 6]
    assert mask_box(0 * mask, (1, 2, 3, 4)).tolist() == [1, 2, 3, 4]
    assert box_mask((11.7, 9.8, 11.9, 9.9), (10, 12)).sum() == 1


@pytest.fixture(scope='module')
def got10k(tmp_path_factory):
    """A red square that moves, hidden in one frame by the labels."""
    root = tmp_path_factory.mktemp('got10k')
    folder = root / 'val' / 'square'
    folder.mkdir(parents=True)
    lines = []
    for t in range(6):
        image = np.full((96, 128, 3), 40, np.uint8)
        image[20:60, 10 + 6 * t:50 + 6 * t, 0] = 220
        Image.fromarray(image).save(folder / f'{t + 1:08}.jpg', quality=95)
        lines.append(f'{10 + 6 * t}.0,20.0,40.0,40.0')
    (folder / 'groundtruth.txt').write_text('\n'.join(lines))
    (folder / 'cover.label').write_text('8\n8\n8\n0\n8\n8')
    return root


def test_dataset(got10k, tmp_path):
    item = GOT10kDataset(str(got10k), short_side=64)[0]
    assert item['inputs'].shape == (6, 3, 64, 64)
    sample = item['data_samples']
    assert sample.boxes[1].tolist() == [16, 20, 56, 60]
    assert sample.visible.tolist() == [True] * 3 + [False] + [True] * 2
    with pytest.raises(ValueError, match='no val/VIDEO/groundtruth.txt'):
        GOT10kDataset(str(tmp_path))


def test_files_that_do_not_belong_together(got10k, tmp_path):
    folder = tmp_path / 'val/square'
    shutil.copytree(got10k / 'val/square', folder)
    truth = folder / 'groundtruth.txt'
    lines = truth.read_text().splitlines()
    # as written on Windows; absence says the opposite of cover
    truth.write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(lines + ['']).encode())
    (folder / 'cover.label').unlink()
    (folder / 'absence.label').write_text('0\n0\n1\n0\n0\n0\n')
    (folder / '._00000001.jpg').touch()
    item = GOT10kDataset(str(tmp_path), short_side=64)[0]['data_samples']
    assert item.visible.tolist() == [True] * 2 + [False] + [True] * 3
    assert item.boxes[5].tolist() == [40, 20, 80, 60]
    for text, message in (('\n'.join(lines[:4]), '6 frames.*but got 4'),
                          ('\n'.join([*lines[:5], 'nan,nan,nan,nan']),
                           'row 6 has nan'), ('1,2,3', 'shape')):
        truth.write_text(text)
        with pytest.raises(ValueError, match=message):
            GOT10kDataset(str(tmp_path))[0]
    (tmp_path / 'val/list.txt').write_text('square\ncircle\n')
    with pytest.raises(ValueError, match='circle must hold frames'):
        GOT10kDataset(str(tmp_path))[1]
    with pytest.raises(ValueError, match=r"of \['val'\], but got 'vall'"):
        GOT10kDataset(str(tmp_path), 'vall')


def test_the_test_split_gives_files(evaluate, got10k, tmp_path, capsys):
    """It has the first box only, and no cover.label."""
    folder = tmp_path / 'test/square'
    shutil.copytree(got10k / 'val/square', folder)
    first = (folder / 'groundtruth.txt').read_text().splitlines()[0]
    (folder / 'groundtruth.txt').write_text(first)
    (folder / 'cover.label').unlink()
    assert evaluate('got10k.py', 'colour', tmp_path,
                    'test_dataloader.num_workers=0',
                    'test_dataloader.dataset.short_side=64',
                    'test_dataloader.dataset.split=test') == {}
    assert 'labels of this split are not known' in capsys.readouterr().out
    boxes = np.loadtxt(
        tmp_path / 'evaluation/results/square/square_001.txt', delimiter=',')
    assert boxes.shape == (6, 4) and boxes[0].tolist() == [10, 20, 40, 40]
    # the server would take the boxes for those of other frames
    (folder / '00000003.jpg').unlink()
    with pytest.raises(ValueError, match='00000004.jpg after number 2'):
        GOT10kDataset(str(tmp_path), 'test')[0]


def test_boxes_of_nan_are_refused():
    with pytest.raises(ValueError, match=r'finite, but got nan at \[1, 2\]'):
        box_overlap([[0, 0, 1, 1], [0, 0, np.nan, 1]], [0, 0, 1, 1])


def test_command(evaluate, got10k):
    metrics = evaluate('got10k.py', 'colour', got10k,
                       'test_dataloader.num_workers=0')
    assert metrics['got10k/AO'] > 70 and metrics['got10k/SR0.50'] == 100
