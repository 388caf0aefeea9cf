"""JHMDB: peaks, places and PCK against loops, and through the command."""
import colorsys
import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dora_mm.datasets import JHMDBDataset
from dora_mm.evaluation import PCKMetric
from dora_mm.models.evaluators.keypoint_propagation import (draw_points,
                                                            find_points)

scipy_io = pytest.importorskip('scipy.io')
GRID = (6, 9)


def slow_peak(x, y, row, column):
    """The peak of a joint in one patch; it covers 4 x 4 patches at most."""
    left, top = math.trunc(x - 1.5), math.trunc(y - 1.5)
    right, bottom = math.trunc(x + 2.5), math.trunc(y + 2.5)
    if not (left <= column < right and top <= row < bottom):
        return 0.
    squared = (column - left - 2)**2 + (row - top - 2)**2
    return math.exp(-squared / (2 * 0.5**2))


def test_peaks_and_places_against_loops():
    points = np.array([(4.3, 2.9), (0.4, 5.8), (8.9, -1.2), (30., 2.)])
    labels = draw_points(points, GRID)
    for row, column in np.ndindex(GRID):
        expected = [slow_peak(x, y, row, column) for x, y in points]
        found = labels[row * GRID[1] + column].tolist()
        assert found == pytest.approx([float(sum(expected) == 0), *expected])

    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.random((54, 4)).astype(np.float32))
    labels[:, 3] = 0  # nowhere
    found = find_points(labels, GRID)
    for joint in range(2):
        best = sorted(((float(labels[i, 1 + joint]), i) for i in range(54)),
                      reverse=True)[:5]
        total = sum(value for value, _ in best)
        for axis, place in enumerate((lambda i: i % 9, lambda i: i // 9)):
            mean = sum(value * place(i) for value, i in best) / total
            assert found[joint, axis] == pytest.approx(mean, rel=1e-5)
    assert found[2].tolist() == [-1, -1]


def test_pck_against_loops():
    rng = np.random.default_rng(1)
    metric, parts = PCKMetric(), {joint: [] for joint in range(5)}
    for frames in (4, 7):
        truth = rng.uniform(10, 90, (frames, 5, 2))
        found = truth + rng.normal(0, 8, truth.shape)
        found[2, 3] = -1  # lost
        metric.process(None, [dict(points=truth, pred_points=found)])
        for t in range(1, frames):
            there = [j for j in range(5) if found[t, j, 0] >= 0]
            sides = [
                max(truth[t, j, axis] for j in there) -
                min(truth[t, j, axis] for j in there) for axis in (0, 1)
            ]
            for j in there:
                away = math.hypot(*(found[t, j] - truth[t, j]))
                parts[j].append(away / (0.6 * math.hypot(*sides)))
    for limit in (0.1, 0.2):
        shares = [
            100 * sum(part <= limit for part in found) / len(found)
            for found in parts.values()
        ]
        expected = sum(shares) / len(shares)
        assert 0 < expected < 100
        found = PCKMetric.compute_metrics(metric, metric.results)
        assert found[f'PCK@{limit}'] == pytest.approx(expected)
    lost = PCKMetric()
    lost.process(None, [dict(points=truth, pred_points=0 * truth - 1)])
    with pytest.raises(ValueError, match='joints that are not lost'):
        lost.evaluate(1)


@pytest.fixture(scope='module')
def jhmdb(tmp_path_factory):
    """A person of 15 disks of colour that moves right, and one to train."""
    root = tmp_path_factory.mktemp('jhmdb')
    (root / 'splits').mkdir()
    (root / 'splits/jump_test_split1.txt').write_text('b.avi 1 \na.avi 2 \n')
    images = root / 'Rename_Images/jump/a'
    joints = root / 'joint_positions/jump/a'
    images.mkdir(parents=True)
    joints.mkdir(parents=True)
    y, x = np.indices((240, 320))
    points = np.zeros((2, 15, 5))
    for t in range(5):
        image = np.full((240, 320, 3), 90, np.uint8)
        for j in range(15):
            place = (40 + 50 * (j % 5) + 8 * t, 50 + 70 * (j // 5))
            colour = colorsys.hsv_to_rgb(j / 15, 1, 1)
            image[np.hypot(x - place[0], y - place[1]) < 22] = [
                255 * value for value in colour
            ]
            points[:, j, t] = np.array(place) + 1
        Image.fromarray(image).save(images / f'{t + 1:05}.png')
    Image.fromarray(image).save(images / '00006.png')  # without joints
    scipy_io.savemat(joints / 'joint_positions.mat', dict(pos_img=points))
    return root


def test_dataset(jhmdb, tmp_path):
    dataset = JHMDBDataset(str(jhmdb), size=64)
    assert dataset.videos == ['jump/a']
    item = dataset[0]
    assert item['inputs'].shape == (5, 3, 64, 64)
    sample = item['data_samples']
    assert sample.ori_shape == (240, 320)
    assert sample.points.shape == (5, 15, 2)
    assert sample.points[1, 6].tolist() == [98, 120]
    with pytest.raises(ValueError, match='split must have lists'):
        JHMDBDataset(str(jhmdb), split=2)
    (tmp_path / 'splits').mkdir()
    (tmp_path / 'splits/jump_test_split1.txt').write_text('c.avi 2')
    with pytest.raises(ValueError, match='joint_positions.mat cannot be rea'):
        JHMDBDataset(str(tmp_path))[0]


def test_files_that_do_not_belong_together(jhmdb, tmp_path):
    root = tmp_path / 'jhmdb'
    shutil.copytree(jhmdb, root)
    images = root / 'Rename_Images/jump/a'
    for folder in (root / 'splits', images):
        for name in ('._jump_test_split1.txt', '.DS_Store', '._00001.png'):
            (folder / name).write_bytes(b'\0\xff')
    expected = JHMDBDataset(str(jhmdb))[0]
    assert torch.equal(JHMDBDataset(str(root))[0]['inputs'],
                       expected['inputs'])
    # with one more frame than joints nobody sees that another one is missing
    (images / '00003.png').rename(root / '00003.png')
    with pytest.raises(ValueError, match='got 00004.png after number 2'):
        JHMDBDataset(str(root))[0]
    Image.new('RGB', (320, 200)).save(images / '00003.png')
    with pytest.raises(ValueError, match=r'one size.*\(200, 320\) and \(240,'):
        JHMDBDataset(str(root))[0]
    (root / '00003.png').replace(images / '00003.png')
    joints = root / 'joint_positions/jump/a/joint_positions.mat'
    scipy_io.savemat(joints, dict(pos_img=np.zeros((2, 13, 5))))
    with pytest.raises(ValueError, match=r'15, frames\), but got \(2, 13'):
        JHMDBDataset(str(root))[0]
    joints.write_bytes(b'')
    with pytest.raises(ValueError, match='must hold joints, .*truncated'):
        JHMDBDataset(str(root))[0]
    names = root / 'splits/jump_test_split1.txt'
    for text, message in (('a.avi', "got 'a.avi': get"), ('a.avi 3', 'or 2 a'),
                          ('a.avi 1', 'videos for testing, with a 2')):
        names.write_text(text)
        with pytest.raises(ValueError, match=message):
            JHMDBDataset(str(root))


def test_command(evaluate, jhmdb):
    """Colours follow disks of pure colour, however they are squeezed."""
    metrics = evaluate('jhmdb.py', 'colour', jhmdb,
                       'test_dataloader.num_workers=0')
    assert metrics['jhmdb/PCK@0.2'] > 90
