import numpy as np
import pytest
import torch

from dora_mm.models.utils import plan_error, sinkhorn_knopp


def in_loops(scores, epsilon, num_iters):
    """Sinkhorn-Knopp as in a textbook, float64, one entry at a time."""
    num_patches, num_objects = scores.shape
    scores = scores - scores.max()
    plan = [[np.exp(score / epsilon) for score in row] for row in scores]
    for _ in range(num_iters):
        for k in range(num_objects):
            mass = sum(plan[n][k] for n in range(num_patches))
            for n in range(num_patches):
                plan[n][k] /= mass * num_objects
        for n in range(num_patches):
            mass = sum(plan[n])
            for k in range(num_objects):
                plan[n][k] /= mass * num_patches
    return np.array(plan) * num_patches


@pytest.mark.parametrize('shape', [(9, 3), (16, 1), (5, 7)])
@pytest.mark.parametrize('epsilon, num_iters', [(0.05, 1), (0.2, 30)])
def test_against_loops(shape, epsilon, num_iters):
    scores = np.random.RandomState(0).randn(2, *shape)
    plan = sinkhorn_knopp(torch.from_numpy(scores), epsilon, num_iters)
    expected = [in_loops(score, epsilon, num_iters) for score in scores]
    np.testing.assert_allclose(plan, np.stack(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize('dtype',
                         [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize('scale', [0., 1., 1e2, 1e4])
def test_finite_for_any_finite_scores(dtype, scale):
    """In the linear domain one object 90 epsilon below the rest is 0 / 0."""
    scores = torch.randn(4, 49, 3, generator=torch.Generator().manual_seed(1))
    scores = (scores / scores.abs().max() * scale).to(dtype)
    scores[1, :, 2] = -scale  # an object that no patch wants
    plan = sinkhorn_knopp(scores)
    assert plan.dtype == torch.float32
    assert plan.isfinite().all() and (plan >= 0).all()
    torch.testing.assert_close(plan.sum(-1), torch.ones(4, 49))


def test_uniform_marginals_and_shift_invariance():
    scores = torch.randn(1, 40, 4, dtype=torch.float64)
    plan = sinkhorn_knopp(scores, epsilon=0.5, num_iters=200)
    torch.testing.assert_close(
        plan.sum(-2), torch.full((1, 4), 10., dtype=torch.float64))
    torch.testing.assert_close(
        plan, sinkhorn_knopp(scores + 1e3, epsilon=0.5, num_iters=200))


def test_error_is_that_of_the_column_sums():
    plan = torch.tensor([[[.5, .5], [.25, .75]], [[1., 0], [0, 1]]])
    # columns .75 and 1.25 against 1; exact ones
    for mass in (1, 1 / 2):
        assert plan_error(mass * plan) == pytest.approx(0.25 / 2)


@pytest.mark.parametrize('epsilon', [1e-30, 1e-12, 1e-4])
def test_least_epsilon_against_a_hard_plan(epsilon):
    """Below 1e-38 all of the plan was not a number.

    So small an epsilon leaves the maxima: those of the columns are taken off,
    and a patch belongs to the object where it then is the largest.
    """
    scores = torch.randn(3, 16, 3, generator=torch.Generator().manual_seed(0))
    scores *= 1e5
    rest = scores.double().numpy()
    rest = rest - rest.max(-2, keepdims=True)
    hard = rest == rest.max(-1, keepdims=True)
    plan = sinkhorn_knopp(scores, epsilon, 1)
    np.testing.assert_allclose(
        plan, hard / hard.sum(-1, keepdims=True), atol=1e-6)
    assert sinkhorn_knopp(scores, epsilon, 30).isfinite().all()


@pytest.mark.parametrize('kwargs', [
    dict(epsilon=0.), dict(epsilon=-1.), dict(epsilon=9e-31),
    dict(epsilon=1e-46), dict(epsilon=float('nan')),
    dict(epsilon=float('inf')), dict(num_iters=0)])  # yapf: disable
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        sinkhorn_knopp(torch.zeros(4, 2), **kwargs)
