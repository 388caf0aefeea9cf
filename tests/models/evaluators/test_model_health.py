"""Models whose health is known, and the consistency of tracks."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny import NUM_LOGITS, build_model
from video_factory import moving_shot

from dora_mm.models.evaluators.model_health import model_health
from dora_mm.models.utils import track_consistency

CLIPS = 16


@pytest.fixture(scope='module')
def clips():
    """Sixteen scenes, each in a colour of its own."""
    tints = np.random.default_rng(0).uniform(0.3, 1, (CLIPS, 3))
    return [(moving_shot(i, 2, 2)[:, 16:48, :32, None] * tint).astype(np.uint8)
            for i, tint in enumerate(tints)]


def teach(model, clips):
    """Let every scene have a prototype of its own, by supervision: to find
    that out without would take minutes."""
    frames = torch.from_numpy(np.concatenate(clips)).permute(0, 3, 1, 2)
    mean, std = (
        getattr(model.data_preprocessor, name).reshape(3, 1, 1)
        for name in ('mean', 'std'))
    frames, scenes = (frames.float() / 255 - mean) / std, torch.arange(
        CLIPS).repeat_interleave(2)
    parts = torch.nn.ModuleList([model.backbone, model.neck])
    optimizer = torch.optim.Adam(parts.parameters(), 3e-3)
    for _ in range(60):
        loss = F.cross_entropy(
            model.neck(model.backbone(frames)[-1]) / 0.1, scenes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.update_teacher(0.)
    return model


def test_collapsed_untrained_and_trained_are_told_apart(clips):
    untrained = model_health(build_model(), clips)
    trained = model_health(teach(build_model(), clips), clips)
    collapsed = build_model()
    with torch.no_grad():
        collapsed.teacher['backbone'].ln1.weight.zero_()
        weight = collapsed.teacher['neck'].last_layer.parametrizations.weight
        weight.original0[:] = weight.original1[NUM_LOGITS // 2:] = 1.
    collapsed = model_health(collapsed, clips)
    ranks = [m['cls_rank'] for m in (collapsed, untrained, trained)]
    assert ranks[0] == pytest.approx(1, abs=1e-4)
    assert ranks[0] + 1 < ranks[1] and ranks[1] + 1 < ranks[2] <= CLIPS * 2
    assert collapsed['cls_alpha'] == math.inf > untrained['cls_alpha']
    assert collapsed['patch_rank'] + 1 < untrained['patch_rank']
    used = [m['used_prototypes'] for m in (collapsed, untrained, trained)]
    assert used[0] == 1 / NUM_LOGITS and used[1] < used[2] == 0.5
    assert collapsed['unique_prototypes'] == 17 / NUM_LOGITS
    assert trained['unique_prototypes'] == 1


def test_dino_has_no_tracks(clips):
    found = model_health(build_model('DINO'), clips[:2])
    assert set(found) == {
        'cls_rank', 'cls_alpha', 'patch_rank', 'patch_alpha',
        'unique_prototypes', 'used_prototypes'
    }


def consistency_in_loops(track, key):
    """(T, K, N), (T, N, D), object by object."""
    ratios = []
    for k in range(track.shape[1]):
        found = sum(track[-1, k, n] * key[-1, n] for n in range(len(key[0])))
        scores = np.array([found @ row for row in key[0]])
        back = np.exp(scores / np.sqrt(len(found)))
        a, b = track[0, k] > track[0, k].mean(), back > back.mean()
        ratios.append((a & b).sum() / max((a | b).sum(), 1))
    return np.mean(ratios)


def test_consistency_against_loops():
    generator = torch.Generator().manual_seed(0)
    key = torch.randn(2, 3, 10, 8, generator=generator, dtype=torch.float64)
    track = torch.randn(
        2, 3, 4, 10, generator=generator, dtype=torch.float64).softmax(-1)
    expected = np.mean([
        consistency_in_loops(t.numpy(), k.numpy())
        for t, k in zip(track, key)
    ])
    assert float(track_consistency(track, key)) == pytest.approx(expected)


def test_a_lost_object_does_not_come_back():
    """Four things, a patch each; the second track ends on another one."""
    key = 20 * torch.eye(4, dtype=torch.float64).expand(1, 3, 4, 4)
    track = torch.eye(4, dtype=torch.float64)[:2].expand(1, 3, 2, 4).clone()
    assert float(track_consistency(track, key)) == 1
    track[0, -1, 1] = torch.eye(4)[3]
    assert float(track_consistency(track, key)) == 0.5
