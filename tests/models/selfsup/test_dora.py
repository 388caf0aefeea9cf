import pytest
import torch
from tiny import build_model, views
from torch._subclasses.fake_tensor import (DataDependentOutputException,
                                           FakeTensorMode)

from dora_mm.engine import DecayGroupsConstructor, PerParameterClipHook
from dora_mm.models.utils import mean_overlap


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)


@torch.no_grad()
def logits(part, clip):
    """(B, T, 3, h, w) one frame at a time."""
    return torch.stack([
        part['neck'](part['backbone'](frame)[-1]) for frame in clip.unbind(1)
    ], 1)


@pytest.mark.parametrize('num_global', [1, 2])
def test_dora_step_view_by_view(num_global):
    """Teacher, masks and student computed a view and an object at a time."""
    model = build_model()
    inputs = views(num_global)
    heads = torch.tensor([[3, 1]] * 2)
    model.head.draw_heads = lambda batch, _: heads[:1].expand(batch, -1)
    losses = model.loss(inputs)

    student = dict(backbone=model.backbone, neck=model.neck)
    teacher_logits, object_logits = [], []
    for clip in inputs['global_clips']:
        masks = model.track(clip, heads)['object_masks']  # (B, T, K, h, w)
        pixels = masks.repeat_interleave(8, -1).repeat_interleave(8, -2)
        teacher_logits.append(logits(model.teacher, clip))
        object_logits.append(
            torch.stack([
                logits(student, clip * pixels[:, :, k, None]) for k in range(2)
            ]))
    local_logits = [logits(student, clip) for clip in inputs['local_clips']]
    model.loss_module.center.zero_()  # it has moved
    expected = model.loss_module(
        torch.stack(teacher_logits), torch.stack(object_logits),
        torch.stack(local_logits))
    torch.testing.assert_close(total(losses), total(expected))


def test_centre_moves_after_the_loss():
    model, inputs = build_model(), views()
    losses = model.loss(inputs)
    teacher_logits = torch.stack(
        [logits(model.teacher, clip) for clip in inputs['global_clips']])
    torch.testing.assert_close(model.loss_module.center[0],
                               0.1 * teacher_logits.flatten(0, 2).mean(0))
    assert total(model.loss(inputs)) != total(losses)


@pytest.mark.parametrize(
    'num_local, weights',
    [(2, dict(object_weight=1 / 3, local_weight=2 / 3)),
     *((num, dict(mean_over_pairs=True)) for num in (0, 2, 3))])
def test_dino_is_dora_without_masks(num_local, weights):
    """DINO's loss: the mean over all pairs of different views."""
    model = build_model('DINO', loss=weights)
    inputs = views(2, num_local)
    losses = model.loss(inputs)
    student = dict(backbone=model.backbone, neck=model.neck)
    target = [(logits(model.teacher, clip) / 0.04).softmax(-1)
              for clip in inputs['global_clips']]
    crops = [*inputs['global_clips'], *inputs['local_clips']]
    terms = [
        -(target[u] *
          (logits(student, crops[v]) / 0.1).log_softmax(-1)).sum(-1).mean()
        for u in range(2) for v in range(len(crops)) if u != v
    ]
    torch.testing.assert_close(total(losses), torch.stack(terms).mean())
    with pytest.raises(ValueError, match='global_views.num=2'):
        model.loss(views(1, 2))


@pytest.mark.parametrize('changes, key, value', [
    (dict(track_layer=3), 'model.track_layer', '3'),
    (dict(track_layer=-4), 'model.track_layer', '-4'),
    (dict(patch_feature='last'), 'model.patch_feature', "'last'"),
    (dict(head=dict(num_objects=5)), 'model.head.num_objects', '5'),
    (dict(head=dict(epsilon=0.)), 'model.head.epsilon', '0.0'),
    (dict(head=dict(num_objects=0)), 'model.head.num_objects', '0'),
    (dict(neck=dict(hidden_channels=0)), 'model.neck.hidden_channels', '0'),
    (dict(loss=dict(student_temp=0.)), 'model.loss.student_temp', '0.0'),
    (dict(mask=dict(mode='hazy')), 'model.mask.mode', "'hazy'"),
    (dict(backbone=dict(img_size=33)), 'model.backbone.img_size', '33'),
    (dict(data_preprocessor=dict(gray_prob=2.)),
     'model.data_preprocessor.gray_prob', '2.0'),
    (dict(data_preprocessor=dict(global_views=dict(size=36))),
     'model.data_preprocessor.global_views.size', '36'),
    (dict(data_preprocessor=dict(local_views=dict(size=20))),
     'model.data_preprocessor.local_views.size', '20'),
    (dict(neck=dict(in_channels=64)), 'model.neck.in_channels', '64'),
    (dict(neck=dict(out_channels=64)), 'model.loss.out_channels', '32'),
    (dict(loss=dict(out_channels=16)), 'model.loss.out_channels', '16'),
    (dict(backbone=dict(out_type='raw')), 'model.backbone.out_type', "'raw'"),
])
def test_parts_that_do_not_fit_are_found_when_built(changes, key, value):
    """They failed at the first step, or trained on something else."""
    with pytest.raises(ValueError, match=f'^{key} must be .* got {value}'):
        build_model(**changes)


def test_dino_needs_two_global_views_when_built():
    with pytest.raises(ValueError, match='global_views.num must be .* got 1'):
        build_model(
            'DINO', data_preprocessor=dict(global_views=dict(num=1, size=32)))


def test_gradients_reach_the_whole_student_and_never_the_teacher():
    model = build_model()
    total(model.loss(views())).backward()
    for name, param in model.named_parameters():
        if name.startswith('teacher.'):
            assert param.grad is None and not param.requires_grad
        else:
            assert param.grad.abs().sum() > 0, name


def test_teacher_runs_without_drop_path_and_starts_equal():
    model = build_model(backbone=dict(drop_path_rate=0.9))
    assert not any(m.training for m in model.teacher.modules())
    clips = torch.randn(2, 3, 3, 32, 32)
    first, second = (
        model.track(clips, torch.tensor([[0, 1]] * 2)) for _ in range(2))
    assert torch.equal(first['track_attn'], second['track_attn'])
    for name in ('backbone', 'neck'):
        student = getattr(model, name).state_dict()
        for key, value in model.teacher[name].state_dict().items():
            assert torch.equal(value, student[key])


def test_teacher_update():
    model = build_model()
    before = [p.clone() for p in model.teacher.parameters()]
    student = [*model.backbone.parameters(), *model.neck.parameters()]
    with torch.no_grad():
        for param in student:
            param.add_(1.)
    model.update_teacher(0.75)
    for teacher, old, new in zip(model.teacher.parameters(), before, student):
        torch.testing.assert_close(teacher, 0.75 * old + 0.25 * new)


@pytest.mark.parametrize('num_local', [0, 2])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_mixed_precision_is_close_to_float32(num_local, dtype):
    inputs = views(2, num_local)
    losses = []
    for enabled in (False, True):
        model = build_model()
        model.seed_step(3)
        with torch.autocast('cpu', dtype, enabled=enabled):
            loss = total(model.loss(inputs))
        loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(grad.isfinite().all() for grad in grads)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_stats_and_seeded_heads():
    model, inputs = build_model(), views()
    model.seed_step(1)
    losses = model.loss(inputs)
    for name in ('mask_coverage', 'raw_overlap', 'overlap'):
        assert 0 < losses[name] < 1, name
    assert losses['empty_masks'] == losses['full_masks'] == 0
    clips = inputs['global_clips'].flatten(0, 1)
    model.seed_step(1)
    tracks = model.track(clips)
    torch.testing.assert_close(losses['overlap'],
                               mean_overlap(tracks['track_attn']))
    torch.testing.assert_close(losses['mask_coverage'],
                               tracks['object_masks'].mean())


@pytest.mark.parametrize('mode', ['map', 'soft'])
def test_masked_clips_are_not_kept(mode):
    """Neither are they as one, nor each of them in the graph."""
    model = build_model(mask=dict(mode=mode))
    clips = views(2)['global_clips']  # (V, B, T, 3, h, w)
    masks = torch.randint(2, (4, 3, 2, 4, 4)).float()
    storages = {}

    def pack(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.shape[-3:]
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        features = model._see_objects(clips, masks)
    images = [key for key, shape in storages.items() if shape == (3, 32, 32)]
    assert images == [clips.untyped_storage().data_ptr()]
    features.sum().backward()


def test_student_may_read_visible_patches_only():
    """Each masked view alone, of the patches that its mask leaves."""
    model, inputs = build_model(drop_hidden=True), views(1)
    clip = inputs['global_clips'][0]
    masks = model.track(clip, torch.tensor([[3, 1]] * 2))['object_masks']
    features = model._see_objects(clip[None], masks)  # (1, K, B, T, C)
    assert len(masks.flatten(3).sum(-1).unique()) > 1
    backbone = model.backbone
    for k in range(2):
        for b in range(2):
            for t in range(3):
                x, _ = backbone._embed(clip[b, t][None])
                keep = [0] + [
                    1 + n
                    for n, mask in enumerate(masks[b, t, k].flatten()) if mask
                ]
                x = x[:, keep]
                for layer in backbone.layers:
                    x = layer(x)
                torch.testing.assert_close(
                    features[0, k, b, t],
                    model.neck.bottleneck(backbone.ln1(x)[0, 0]))


def test_soft_masks_hide_no_patch_to_drop():
    with pytest.raises(ValueError, match="drop_hidden.*'soft'"):
        build_model(drop_hidden=True, mask=dict(mode='soft'))


@pytest.mark.parametrize('name', ['DoRA', 'DINO'])
def test_compiled_layers_compute_the_same(name):
    results = []
    for compile_layers in (False, dict(backend='aot_eager')):
        model = build_model(name, compile_layers=compile_layers)
        model.seed_step(3)
        loss = total(model.loss(views()))
        loss.backward()
        results.append(
            [loss, *(p.grad for p in model.parameters() if p.requires_grad)])
    for ours, expected in zip(*results):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_step_never_waits_for_the_device(dtype):
    """A fake tensor raises an error where a value would be read."""
    model = build_model()
    with FakeTensorMode() as mode:
        for module in model.modules():
            for values in (module._parameters, module._buffers):
                for name, tensor in values.items():
                    if tensor is not None:
                        values[name] = mode.from_tensor(tensor)
        optimizer = DecayGroupsConstructor(
            dict(optimizer=dict(type='AdamW', lr=1e-3, fused=True)))(
                model).optimizer
        with torch.autocast('cpu', dtype, enabled=dtype != torch.float32):
            losses = model.loss(views())
        total(losses).backward()
        PerParameterClipHook(3.).clip(optimizer)
        optimizer.step()
        model.update_teacher(0.9)
        with pytest.raises(DataDependentOutputException):
            losses['kl'].item()
