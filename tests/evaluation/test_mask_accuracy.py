"""J and F against loops over pixels, and numbers of vos-benchmark."""
import math

import numpy as np
import pytest
from PIL import Image

from dora_mm.evaluation import DAVISMetric
from dora_mm.evaluation.mask_accuracy import (contour_accuracy,
                                              region_similarity)


def slow_contour(mask):
    height, width = mask.shape
    found = set()
    for y in range(height):
        for x in range(width):
            below, right = min(y + 1, height - 1), min(x + 1, width - 1)
            around = (mask[y, right], mask[below, x], mask[below, right])
            if any(value != mask[y, x] for value in around):
                found.add((y, x))
    return found


def slow_f(mask, truth):
    """By the definition, pixel by pixel."""
    reach = math.ceil(0.008 * math.hypot(*mask.shape))
    found, wanted = slow_contour(mask), slow_contour(truth)
    if not found or not wanted:
        return float(found == wanted)

    def share(these, others):
        near = sum(
            any(math.dist(a, b) <= reach for b in others) for a in these)
        return near / len(these)

    precision, recall = share(found, wanted), share(wanted, found)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.


def blobs(seed, frames=9, size=(96, 160), shift=3):
    """Masks (T, H, W) of two objects that move, and worse ones of them."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    truth = np.zeros((frames, *size), np.uint8)
    found = np.zeros_like(truth)
    for t in range(frames):
        for masks, error in ((truth, 0), (found, shift)):
            for i, (cy, cx, r) in enumerate(((40, 30, 22), (60, 110, 30))):
                dy, dx = rng.integers(-error, error + 1, 2)
                inside = np.hypot(y - cy - t - dy,
                                  x - cx - 2 * t - dx) < r + error
                masks[t][inside] = i + 1
    found[4][found[4] == 1] = 0  # lost for a frame
    return truth, found


@pytest.mark.parametrize('seed', range(4))
def test_against_loops(seed):
    rng = np.random.default_rng(seed)
    for size in ((30, 40), (13, 70)):
        base = rng.random(size) < 0.02 * (seed + 1)
        other = base ^ (rng.random(size) < 0.01 * seed)
        assert contour_accuracy(base,
                                other) == pytest.approx(slow_f(base, other))
        union = sum(a or b for a, b in zip(base.flat, other.flat))
        both = sum(a and b for a, b in zip(base.flat, other.flat))
        assert region_similarity(base, other) == (
            both / union if union else 1.)


@pytest.mark.parametrize(('found', 'wanted', 'j', 'f'), [(0, 0, 1., 1.),
                                                         (1, 0, 0., 0.),
                                                         (0, 1, 0., 0.)])
def test_empty_masks(found, wanted, j, f):
    masks = [np.zeros((20, 20), bool) for _ in range(2)]
    masks[0][5:9, 5:9], masks[1][5:9, 5:9] = found, wanted
    assert region_similarity(*masks) == j
    assert contour_accuracy(*masks) == f


def score(videos, **kwargs):
    metric = DAVISMetric(**kwargs)
    for name, (truth, found) in videos.items():
        names = [f'{t:05}' for t in range(len(truth))]
        metric.process(None, [
            dict(
                name=name,
                frame_names=names,
                first_mask=truth[0],
                true_masks=truth,
                pred_masks=found)
        ])
    return metric.evaluate(len(videos))


VIDEOS = dict(a=blobs(0), b=blobs(1, frames=6, shift=6))
GOLDEN = {
    'J&F-Mean': 48.79635036593627,
    'J-Mean': 66.48800128932815,
    'F-Mean': 31.10469944254439
}


def test_numbers_of_vos_benchmark(tmp_path):
    """Computed by vos-benchmark 0.1.0 on the same masks; again if it is
    installed."""
    found = score(VIDEOS)
    for name, value in GOLDEN.items():
        assert found[f'davis/{name}'] == pytest.approx(value, abs=1e-6)
    vos = pytest.importorskip('vos_benchmark.benchmark')
    for name, pair in VIDEOS.items():
        for kind, masks in zip(('truth', 'found'), pair):
            folder = tmp_path / kind / name
            folder.mkdir(parents=True)
            for t, mask in enumerate(masks):
                Image.fromarray(mask).save(folder / f'{t:05}.png')
    both, j, f, _ = vos.benchmark([str(tmp_path / 'truth')],
                                  [str(tmp_path / 'found')],
                                  verbose=False)
    assert (both[0], j[0], f[0]) == pytest.approx(
        tuple(GOLDEN[name] for name in ('J&F-Mean', 'J-Mean', 'F-Mean')))


def test_void_pixels_do_not_count():
    """As if both masks were background there."""
    truth, found = blobs(2)
    void = np.random.default_rng(0).random(truth.shape) < 0.3
    void[0] = False
    expected = score(dict(v=(truth * ~void, found * ~void)))
    truth[void] = 255
    assert score(dict(v=(truth, found))) == expected


def test_recall_decay_and_files(tmp_path):
    truth, _ = blobs(0, frames=10, shift=0)
    found = truth.copy()
    found[6:][found[6:] == 2] = 0  # lost from frame 6 on
    metrics = score(dict(v=(truth, found)), out_dir=str(tmp_path))
    # frames 1 to 8: object 1 always, object 2 in five of eight
    assert metrics['davis/J-Recall'] == pytest.approx(100 * (1 + 5 / 8) / 2)
    # quarters of eight frames: 0 to 2 against 5 to 7
    assert metrics['davis/J-Decay'] == pytest.approx(100 * (0 + 1) / 2)
    written = np.array(Image.open(tmp_path / 'v/00007.png'))
    assert np.array_equal(written, found[7])
