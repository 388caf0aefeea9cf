"""Figures of health against other ways to compute them."""
import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from dora_mm.evaluation.health import alpha_req, rank_me, unique_prototypes
from dora_mm.evaluation.whitening import Whitening


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator)


@pytest.mark.parametrize('samples, channels', [(50, 12), (7, 20)])
def test_rank_against_singular_values(samples, channels):
    features = random(samples, channels) * torch.arange(1, channels + 1) + 3
    values = np.linalg.svd(features.double().numpy(), compute_uv=False)
    share = values / values.sum()
    expected = np.exp(-(share * np.log(share)).sum())
    assert rank_me(features) == pytest.approx(expected, rel=1e-5)


def test_rank_of_known_features():
    assert rank_me(7 * torch.eye(12)) == pytest.approx(12)
    assert rank_me(torch.ones(9, 5)) == pytest.approx(1, abs=1e-5)


def test_alpha_against_scikit_learn():
    features = random(300, 16) * torch.arange(1, 17)**-0.8 + 5
    values = PCA().fit(features.double().numpy()).explained_variance_
    rank = np.arange(1, 17)
    # polyfit squares its weights
    slope, _ = np.polyfit(np.log(rank), np.log(values), 1, w=rank**-0.5)
    assert alpha_req(features) == pytest.approx(-slope, rel=1e-5)


@pytest.mark.parametrize('alpha', [0., 1., 2.5])
def test_alpha_of_a_power_law(alpha):
    half = torch.eye(24, dtype=torch.float64) * torch.arange(1, 25)[:, None]**(
        -alpha / 2)
    assert alpha_req(torch.cat([half, -half])) == pytest.approx(
        alpha, abs=1e-6)


def test_alpha_of_a_collapse():
    assert alpha_req(torch.full((50, 8), 3.3)) == math.inf
    line = torch.linspace(0, 1, 50)[:, None] * random(1, 8)
    assert alpha_req(line.double()) > 10


@pytest.mark.parametrize('block', [3, 7, 1024])
def test_prototypes_against_loops(monkeypatch, block):
    from dora_mm.evaluation import health
    monkeypatch.setattr(health, '_BLOCK', block)
    weight = random(6, 5)[torch.randint(
        6, (40, ), generator=torch.Generator().manual_seed(1))]
    weight = weight * torch.rand(40, 1) + 0.12 * random(40, 5, seed=2)
    rows, unique = weight.double().numpy(), []
    for row in rows / np.linalg.norm(rows, axis=1, keepdims=True):
        if all(row @ other < 0.975 for other in unique):
            unique.append(row)
    assert 6 < len(unique) < 40
    assert unique_prototypes(weight) == len(unique) / 40


def test_whitening_against_scikit_learn():
    features = random(400, 9) @ random(9, 9, seed=1) + 4
    oracle = PCA(whiten=True).fit(features.double().numpy())
    queries = random(5, 9, seed=2)
    expected = torch.from_numpy(oracle.transform(queries.double().numpy()))
    expected = torch.nn.functional.normalize(expected, dim=1)
    found = Whitening(features)(queries).double()
    # Axes may be turned: what counts for neighbours is the cosine.
    torch.testing.assert_close(
        found @ found.T, expected @ expected.T, atol=1e-3, rtol=0)


def test_features_that_are_not_finite():
    with pytest.raises(ValueError, match='features.*nan'):
        rank_me(torch.tensor([[1., 2.], [float('nan'), 0.]]))
    with pytest.raises(ValueError, match='at least two samples'):
        alpha_req(torch.ones(1, 3))
