import numpy as np
import pytest
import torch

from dora_mm.models import SinkhornPrototypeHead
from dora_mm.models.utils import TrackFeatures, mean_overlap

B, T, H, N, D = 2, 3, 4, 9, 8


def features(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return TrackFeatures(
        cls_token=randn(B, T, D),
        patch_tokens=randn(B, N, D),
        query=randn(B, N, D),
        key=randn(B, T, N, D),
        cls_attn=randn(B, H, N).softmax(-1))


def softmax(x):
    x = np.exp(x - x.max())
    return x / x.sum()


@pytest.mark.parametrize('normalize_tokens', [False, True])
@pytest.mark.parametrize('plan_mass', ['unit', 'patch'])
def test_equations_2_to_6_in_loops(normalize_tokens, plan_mass):
    feats = features()
    head = SinkhornPrototypeHead(
        3,
        epsilon=0.5,
        num_iters=5,
        normalize_tokens=normalize_tokens,
        plan_mass=plan_mass)
    heads = torch.tensor([[2, 0, 3], [1, 2, 0]])
    tracks = head(feats, heads)
    for b in range(B):
        query, key = feats.query[b].numpy(), feats.key[b].numpy()
        tokens = feats.patch_tokens[b].numpy()
        if normalize_tokens:
            tokens = np.stack([z / np.sqrt((z**2).sum()) for z in tokens])
        prototypes = np.stack([
            sum(feats.cls_attn[b, h, n].item() * query[n] for n in range(N))
            for h in heads[b]
        ])  # eq. 2
        plan = np.exp(tokens @ prototypes.T / 0.5)  # (N, K)
        for _ in range(5):
            plan /= plan.sum(0, keepdims=True) * 3
            plan /= plan.sum(1, keepdims=True) * N
        plan *= N if plan_mass == 'patch' else 1  # eq. 4
        refined = plan.T @ tokens  # eq. 5
        np.testing.assert_allclose(
            tracks.object_prototypes[b], prototypes, rtol=1e-5)
        np.testing.assert_allclose(
            tracks.transport_plan[b], plan, rtol=1e-4, atol=1e-7)
        for t in range(T):
            for k in range(3):
                np.testing.assert_allclose(
                    tracks.raw_track_attn[b, t, k],
                    softmax(key[t] @ prototypes[k] / np.sqrt(D)),
                    rtol=1e-4)  # eq. 3
                np.testing.assert_allclose(
                    tracks.track_attn[b, t, k],
                    softmax(key[t] @ refined[k] / np.sqrt(D)),
                    rtol=1e-4)  # eq. 6


def test_without_refinement_the_tracks_are_the_raw_ones():
    heads = torch.tensor([[2, 0, 3], [1, 2, 0]])
    raw = SinkhornPrototypeHead(3, refine=False)(features(), heads)
    refined = SinkhornPrototypeHead(3)(features(), heads)
    assert torch.equal(raw.track_attn, refined.raw_track_attn)
    assert torch.equal(raw.track_attn, raw.raw_track_attn)
    assert raw.transport_plan is None


def test_half_precision_features_are_tracked_in_float32():
    feats = features(dtype=torch.float32)
    half = TrackFeatures(*(tensor.bfloat16() for tensor in feats))
    head = SinkhornPrototypeHead(2)
    heads = torch.tensor([[0, 1]] * B)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        tracks = head(half, heads)
    rounded = TrackFeatures(*(tensor.float() for tensor in half))
    for ours, expected in zip(tracks, head(rounded, heads)):
        assert torch.equal(ours, expected)


def test_draw_is_seeded_and_shared_as_asked(monkeypatch):
    head = SinkhornPrototypeHead(3)
    head.seed(5)
    draws = [head.draw_heads(4, 6) for _ in range(20)]
    assert all((draw == draw[0]).all() for draw in draws)  # one for the batch
    assert len({tuple(draw[0].tolist()) for draw in draws}) > 5
    assert all(len(set(draw[0].tolist())) == 3 for draw in draws)
    head.seed(5)
    assert torch.equal(head.draw_heads(4, 6), draws[0])

    head.draw = 'sample'
    assert len({tuple(row) for row in head.draw_heads(50, 6).tolist()}) > 5

    module = 'dora_mm.models.heads.sinkhorn_prototype_head.get_rank'
    for sync in (True, False):
        head = SinkhornPrototypeHead(3, draw='sample', sync_draw=sync)
        ranks = []
        for rank in range(2):
            monkeypatch.setattr(module, lambda rank=rank: rank)
            head.seed(5)
            ranks.append(head.draw_heads(50, 6))
        assert torch.equal(*ranks) is sync


def test_too_few_heads_and_bad_arguments():
    with pytest.raises(ValueError, match='at most 4, the attention heads'):
        SinkhornPrototypeHead(5)(features())
    for kwargs in (dict(num_objects=0), dict(draw='clip'),
                   dict(plan_mass='row'), dict(epsilon=0.), dict(num_iters=0)):
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            SinkhornPrototypeHead(**kwargs)


def test_overlap():
    maps = torch.tensor([[4., 4, 1, 1], [1, 4, 4, 1], [1, 1, 4, 4]])
    assert mean_overlap(maps[:1]) == 0
    assert mean_overlap(maps[[0, 0]]) == 1
    # 1/3 for the neighbours, 0 for the first and last object
    assert mean_overlap(maps).item() == pytest.approx(2 / 9)
