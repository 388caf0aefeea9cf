import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dora_mm.models import LinearDepthHead


def sample(depth):
    return SimpleNamespace(gt_depth_map=SimpleNamespace(data=depth))


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = LinearDepthHead(6, num_bins=5, max_depth=4., warmup_iters=1)
    torch.nn.init.normal_(head.score.weight)
    return head


def test_depth_against_loops(head):
    """Each patch by itself, in numpy."""
    feats = torch.randn(2, 6, 3, 4)
    found = head(('not used', feats)).detach().numpy()
    normed = feats.numpy().astype(float)
    mean, var = normed.mean((0, 2, 3)), normed.var((0, 2, 3))
    weight = head.score.weight.detach().numpy()[:, :, 0, 0]
    bias = head.score.bias.detach().numpy()
    bins = [0.001 + i * 3.999 / 4 for i in range(5)]
    for b, y, x in np.ndindex(2, 3, 4):
        patch = (normed[b, :, y, x] - mean) / np.sqrt(var + 1e-5)
        weights = [max(score, 0) + 0.1 for score in weight @ patch + bias]
        depth = sum(w * d for w, d in zip(weights, bins)) / sum(weights)
        assert found[b, 0, y, x] == pytest.approx(depth, rel=1e-5)


def test_loss_against_loops(head):
    """Of the pixels whose depth is known, all images together."""
    feats = torch.randn(2, 6, 3, 4)
    truth = torch.rand(2, 1, 6, 8) * 3 * (torch.rand(2, 1, 6, 8) > .3)
    found = head.predict((feats, ), [dict(img_shape=(6, 8, 3))], None).detach()
    assert found.shape == truth.shape
    errors = [
        math.log(float(p) + 0.001) - math.log(float(t) + 0.001)
        for p, t in zip(found.flatten(), truth.flatten()) if t > 0
    ]
    mean = sum(errors) / len(errors)
    var = sum((e - mean)**2 for e in errors) / (len(errors) - 1)
    samples = [sample(depth) for depth in truth]
    # one step without the variance, then with it
    for expected in (.15 * mean**2, var + .15 * mean**2):
        loss = head.loss((feats, ), samples, None)['loss_depth']
        assert float(loss) == pytest.approx(math.sqrt(expected), rel=1e-4)


def test_a_right_depth_leaves_finite_weights(head):
    """Where the truth is what is predicted the root is 0."""
    feats = torch.randn(1, 6, 3, 4)
    truth = head((feats, )).detach()[0]
    head.loss((feats, ), [sample(truth)], None)['loss_depth'].backward()
    assert head.score.weight.grad.isfinite().all()


def test_mistakes_are_named(head):
    with pytest.raises(ValueError, match='num_bins must be at least 2'):
        LinearDepthHead(6, num_bins=1)
    with pytest.raises(ValueError, match='min_depth must be above 0'):
        LinearDepthHead(6, min_depth=3., max_depth=2.)
    with pytest.raises(ValueError, match='gt_depth_map must have depths'):
        head.loss((torch.randn(1, 6, 3, 4), ), [sample(torch.zeros(1, 6, 8))],
                  None)
