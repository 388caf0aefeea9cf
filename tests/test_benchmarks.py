"""What the benchmarks compare must be the same mathematics."""
import sys

import pytest
import torch
from clean_python import ROOT
from tiny import build_model, views

sys.path.insert(0, str(ROOT / 'benchmarks'))
released_step = pytest.importorskip('released_step')

RELEASED = dict(
    track_layer=-1,
    patch_feature='final',
    backbone=dict(pos_interp='dino'),
    head=dict(num_objects=2, normalize_tokens=True, plan_mass='patch'),
    mask=dict(mode='batch'),
    loss=dict(
        object_weight=0.5,
        local_weight=0.5,
        carry_frame_loss=True,
        skip_first_local=True))


def test_released_way_is_our_step():
    """Frame by frame, object by object: loss, gradients, clipping, centre
    and teacher."""
    ours, theirs = (build_model(**RELEASED) for _ in range(2))
    way = released_step.ReleasedStep(theirs)
    inputs = views(1, 3)
    ours.seed_step(5)
    theirs.seed_step(5)
    losses = ours.loss(inputs)
    expected = way.loss(inputs)
    torch.testing.assert_close(losses['loss_object'] + losses['loss_local'],
                               expected)
    (losses['loss_object'] + losses['loss_local']).backward()
    expected.backward()
    for (name, our), (_, their) in zip(ours.named_parameters(),
                                       theirs.named_parameters()):
        if our.requires_grad:
            torch.testing.assert_close(
                our.grad, their.grad, rtol=1e-3, atol=1e-5, msg=name)
    torch.testing.assert_close(ours.loss_module.center,
                               theirs.loss_module.center)
    way.clip(0.1)
    assert max(p.grad.norm() for p in theirs.parameters()
               if p.requires_grad) == pytest.approx(0.1, rel=1e-4)
    with torch.no_grad():
        theirs.backbone.cls_token += 1
    before = theirs.teacher['backbone'].cls_token.clone()
    way.update_teacher(0.75)
    torch.testing.assert_close(theirs.teacher['backbone'].cls_token,
                               before + 0.25)


def test_only_the_released_recipe_is_compared():
    with pytest.raises(ValueError, match='track_layer.*-2'):
        released_step.ReleasedStep(build_model())
