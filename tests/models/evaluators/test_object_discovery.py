"""Object discovery against loops and scipy, and through the command."""
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import model_cfg

from dora_mm.evaluation.discovery_metric import DiscoveryMetric
from dora_mm.models.evaluators.attention_box import attention_box, kept_patches
from dora_mm.models.evaluators.token_cut import token_cut_box


def regions(kept, grid):
    """4-connected components, patch by patch."""
    left, found = set(kept), []
    while left:
        border = [left.pop()]
        region = set(border)
        while border:
            r, c = divmod(border.pop(), grid[1])
            for y, x in ((r, c + 1), (r, c - 1), (r + 1, c), (r - 1, c)):
                place = y * grid[1] + x
                if 0 <= y < grid[0] and 0 <= x < grid[1] and place in left:
                    left.remove(place)
                    region.add(place)
                    border.append(place)
        found.append(region)
    return found


def box(region, grid):
    rows, columns = zip(*(divmod(place, grid[1]) for place in region))
    return min(columns), min(rows), max(columns) + 1, max(rows) + 1


@pytest.mark.parametrize('seed', range(15))
def test_attention_against_loops(seed):
    generator = torch.Generator().manual_seed(seed)
    grid = (6, 9) if seed % 2 else (11, 4)
    attn = (4 *
            torch.randn(3, grid[0] * grid[1], generator=generator)).softmax(1)
    mean = attn.mean(0).double().tolist()
    kept, total = [], 0.
    for place in sorted(range(len(mean)), key=lambda i: -mean[i]):
        if total >= 0.8 * sum(mean):
            break
        kept.append(place)
        total += mean[place]
    assert kept_patches(attn.mean(0)).nonzero()[:, 0].tolist() == sorted(kept)
    found = regions(kept, grid)
    largest = max(map(len, found))
    assert attention_box(attn, grid) in [
        box(region, grid) for region in found if len(region) == largest
    ]
    heaviest = max(found, key=lambda region: sum(mean[i] for i in region))
    assert attention_box(attn, grid, by_mass=True) == box(heaviest, grid)


def test_two_components():
    """A heavy small one and a light large one, both within 80 %."""
    attn = torch.full((4, 6), 0.001)
    attn[0, 0] = 5.
    attn[2:4, 2:6] = .5
    assert attention_box(attn.reshape(1, -1), (4, 6)) == (2, 2, 6, 4)
    assert attention_box(
        attn.reshape(1, -1), (4, 6), by_mass=True) == (0, 0, 1, 1)
    with pytest.raises(ValueError, match=r'mass must lie in \(0, 1\], but'):
        kept_patches(attn.flatten(), 80)


@pytest.mark.parametrize('seed', range(10))
def test_token_cut_against_scipy(seed):
    """The generalised problem itself, and regions in loops."""
    linalg = pytest.importorskip('scipy.linalg')
    rng = np.random.default_rng(seed)
    grid = (7, 9)
    keys = rng.normal(size=(63, 6))
    inside = np.zeros(grid, bool)
    inside[2:5, 3:7] = True
    keys[inside.ravel()] += 3 * rng.normal(size=6)
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    links = np.where(unit @ unit.T > 0.2, 1., 1e-5)
    degree = np.diag(links.sum(1))
    vector = linalg.eigh(degree - links, degree, subset_by_index=[1, 1])[1]
    vector = vector[:, 0]
    seed_patch = int(np.abs(vector).argmax())
    side = vector > vector.mean()
    side = side if side[seed_patch] else ~side
    region = next(
        r for r in regions(np.flatnonzero(side).tolist(), grid)
        if seed_patch in r)
    assert token_cut_box(torch.from_numpy(keys), grid) == box(region, grid)


def test_metric():
    metric = DiscoveryMetric()
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 70]])
    for found in ((0, 0, 10, 5), (0, 0, 10, 4), (50, 50, 60, 70)):
        metric.process(None, [
            dict(
                pred_boxes=dict(a=np.array(found), b=np.array((0, 0, 1, 1))),
                boxes=boxes)
        ])
    assert metric.evaluate(3) == pytest.approx({
        'discovery/a_CorLoc': 200 / 3,
        'discovery/a_Jaccard': 190 / 3,
        'discovery/b_CorLoc': 0,
        'discovery/b_Jaccard': 1
    })


def test_command(evaluate, tmp_path):
    """All protocols by one command, in VOC's layout."""
    root = tmp_path / 'voc'
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / name).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    Image.fromarray(noise).save(root / 'JPEGImages/a.jpg')
    (root / 'Annotations/a.xml').write_text(
        '<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin>'
        '<xmax>50</xmax><ymax>37</ymax></bndbox></object></annotation>')
    (root / 'ImageSets/Main/trainval.txt').write_text('a\n')
    run = tmp_path / 'run.py'
    run.write_text(f'model = {model_cfg()!r}')
    metrics = evaluate('discovery_voc.py', run, root,
                       'test_dataloader.num_workers=0')
    assert set(metrics) == {
        f'discovery/{protocol}_{kind}'
        for protocol in ('attention', 'attention_mass', 'lost', 'tokencut')
        for kind in ('CorLoc', 'Jaccard')
    }
    assert all(0 < metrics[name] <= 100 for name in metrics
               if name.endswith('Jaccard'))
