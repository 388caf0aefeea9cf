import pytest
import torch

from dora_mm.models import DoRALoss

K, L, B, T, P = 3, 2, 2, 4, 11


def logits(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, P, generator=generator)


def cross_entropy(target, student):
    return -(target * (student / 0.1).log_softmax(-1)).sum()


def loss_in_loops(module, teacher, objects, local):
    """Equation 8 and DINO's local loss, one pair of vectors at a time."""
    num_views = len(teacher)
    target = ((teacher - module.center) / module.teacher_temp).softmax(-1)
    object_terms, local_terms = [], []
    for u in range(num_views):
        for b in range(B):
            for t in range(T):
                for v in range(num_views):
                    if v != u or num_views == 1:
                        object_terms += [
                            cross_entropy(target[u, b, t], objects[v, k, b, t])
                            for k in range(K)
                        ]
                local_terms += [
                    cross_entropy(target[u, b, t], view[b, t])
                    for view in local
                ]
    object_loss = torch.stack(object_terms).mean()
    local_loss = torch.stack(local_terms).mean() if len(local) else 0
    return module.object_weight * object_loss + (
        module.local_weight * local_loss)


@pytest.mark.parametrize('num_views', [1, 2, 3])
@pytest.mark.parametrize('num_local', [0, L])
def test_loss_and_gradients_in_loops(num_views, num_local):
    module = DoRALoss(P, object_weight=0.7, local_weight=0.4)
    module.center.normal_()
    teacher = logits(num_views, B, T)
    inputs = [
        logits(num_views, K, B, T, seed=1),
        logits(num_local, B, T, seed=2)
    ]
    results = []
    for implementation in (lambda *args: sum(v
                                             for k, v in module(*args).items()
                                             if 'loss' in k),
                           lambda *args: loss_in_loops(module, *args)):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        args = (leaves[0], leaves[1] if num_local else None)
        if implementation.__code__.co_names[0] == 'loss_in_loops':
            args = leaves
        loss = implementation(teacher, *args)
        grads = torch.autograd.grad(loss, leaves[:1 + bool(num_local)])
        results.append((loss, *grads))
    for ours, expected in zip(*results):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_authors_weights_of_objects():
    """0.380, 0.375, 0.333 for T = 8, K = 3: the authors' running sum."""
    module = DoRALoss(P, carry_frame_loss=True)
    weight = module._object_weights(3, 8, torch.zeros(3))
    torch.testing.assert_close(
        weight, torch.tensor([0.380, 0.375, 1 / 3]), atol=5e-4, rtol=0)


def test_entropy_and_kl_tell_collapse_from_learning():
    module = DoRALoss(P)
    teacher = logits(1, B, T)
    scale = module.student_temp / module.teacher_temp
    losses = module(teacher, (teacher * scale)[:, None])  # student = teacher
    assert losses['kl'].abs() < 1e-5
    probs = (teacher / module.teacher_temp).softmax(-1)
    entropy = torch.distributions.Categorical(probs=probs).entropy().mean()
    torch.testing.assert_close(losses['teacher_entropy'], entropy)


def test_half_precision_logits_do_not_overflow():
    module = DoRALoss(P)
    teacher = (logits(2, B, T) * 1e4).half()
    losses = module(teacher, (logits(2, K, B, T, seed=1) * 1e4).half())
    assert losses['loss_object'].dtype == torch.float32
    assert all(value.isfinite() for value in losses.values())


def test_autocast_does_not_round_the_loss():
    module = DoRALoss(P)
    teacher, objects = logits(2, B, T), logits(2, K, B, T, seed=1)
    expected = module(teacher, objects)['loss_object']
    with torch.autocast('cpu', torch.bfloat16):
        assert module(teacher, objects)['loss_object'] == expected


def test_centre_moves_by_its_momentum():
    module = DoRALoss(P, center_momentum=0.75)
    module.center.fill_(2.)
    teacher = logits(2, B, T)
    module.update_center(teacher)
    expected = 0.75 * 2. + 0.25 * teacher.reshape(-1, P).mean(0)
    torch.testing.assert_close(module.center[0], expected)


@pytest.mark.parametrize(
    'kwargs',
    [dict(student_temp=0.),
     dict(student_temp=1e-46),
     dict(student_temp=float('nan')),
     dict(teacher_temp=1e-39),
     dict(teacher_temp=-1.),
     dict(center_momentum=1.5)])
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        DoRALoss(P, **kwargs)
