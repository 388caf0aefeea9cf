"""dora_mm against numbers of the authors' code.

The folder tests/data/reference, or the one that DORA_MM_REFERENCE_DIR names,
holds them; its README.md tells what each file is. Sizes, seeds and settings
are read from the files. Nothing here reads weights: they are rebuilt by name.
"""
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from dora_mm.datasets.transforms import MultiObjectMaskTransform
from dora_mm.engine import (PerParameterClipHook, TeacherEMAHook,
                            TeacherTempHook, WarmupCosineScheduler)
from dora_mm.models import DoRALoss, DoRAViT, SinkhornPrototypeHead
from dora_mm.models.utils import TrackFeatures, sinkhorn_knopp
from dora_mm.registry import MODELS

REFERENCE = Path(
    os.environ.get('DORA_MM_REFERENCE_DIR')
    or Path(__file__).parent / 'data' / 'reference')
SHAPES = dict(json.loads((REFERENCE / 'student_keys.json').read_text()))


def load(name):
    return np.load(REFERENCE / f'{name}.npz')


def tensor(array):
    return torch.from_numpy(np.array(array))


def assert_close(actual, expected, rtol=1e-5):
    """Relative to the largest value: single ones may be rounding noise."""
    expected = torch.as_tensor(np.array(expected)).double()
    actual = torch.as_tensor(actual).double()
    assert actual.shape == expected.shape
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error <= rtol, f'relative error {error:.2e}'


def authors_weight(name, shape):
    """The reference README's rule for a weight, from its name alone."""
    seed = zlib.crc32(name.encode()) & 0xffffffff
    random = np.random.RandomState(seed).standard_normal(shape)
    value = random.astype(np.float32) * np.float32(0.05)
    if name.endswith('norm.weight') or 'norm1.weight' in name \
            or 'norm2.weight' in name:
        value = value + np.float32(1)
    if name.endswith('weight_g'):
        value = np.ones(shape, np.float32)
    return torch.from_numpy(np.ascontiguousarray(value))


def authors_arch():
    """The ViT whose weights the reference names; heads have 64 channels."""
    dims = SHAPES['backbone.cls_token'][-1]
    return dict(
        embed_dims=dims,
        num_layers=sum(name.endswith('norm1.weight') for name in SHAPES),
        num_heads=dims // 64,
        feedforward_channels=SHAPES['backbone.blocks.0.mlp.fc1.weight'][0])


def our_name(name):
    """An authors' name in this package."""
    for old, new in (('backbone.norm.', 'backbone.ln1.'),
                     ('blocks.', 'layers.'), ('norm1', 'ln1'),
                     ('norm2', 'ln2'), ('mlp.fc1', 'ffn.layers.0.0'),
                     ('mlp.fc2', 'ffn.layers.1'), ('patch_embed.proj',
                                                   'patch_embed.projection'),
                     ('head.', 'neck.'), ('weight_g',
                                          'parametrizations.weight.original0'),
                     ('weight_v', 'parametrizations.weight.original1')):
        name = name.replace(old, new)
    return name


def sinkhorn_in_loops(scores, epsilon, num_iters):
    """The authors' scaling of exp(scores / epsilon), but in float64."""
    scaled = scores.astype(np.float64) / epsilon
    plan = np.exp(scaled - scaled.max()).T  # (K, N)
    plan /= plan.sum()
    for _ in range(num_iters):
        plan /= plan.sum(1, keepdims=True) * len(plan)
        plan /= plan.sum(0, keepdims=True) * plan.shape[1]
    return plan.T * len(scores)


@pytest.mark.parametrize(
    'index', [k[7:] for k in load('sinkhorn') if k.startswith('scores_')])
def test_sinkhorn_plans(index):
    data = load('sinkhorn')
    scores, expected = data[f'scores_{index}'], data[f'plan_{index}']
    epsilon, iters = float(data[f'eps_{index}']), int(data[f'iters_{index}'])
    plan = sinkhorn_knopp(tensor(scores), epsilon, iters)
    assert_close(plan.sum(-1), np.ones(plan.shape[:-1]))
    for ours, theirs, score in zip(plan, expected, scores):
        # Where exp() leaves float32's normal range the authors' plan is NaN
        # or has lost objects; the exact plan is the reference there.
        if np.ptp(score) / epsilon > -np.log(np.finfo(np.float32).tiny):
            theirs = sinkhorn_in_loops(score, epsilon, iters)
        assert_close(ours, theirs)


def test_tracker_masks():
    data = load('tracker')
    query, key = tensor(data['query_TBHND']), tensor(data['key_TBHND'])
    scores = query[0, :, :, :1] @ key[0].mT * query.shape[-1]**-0.5
    expected = tensor(data['mask_KBThw']).permute(1, 2, 0, 3, 4)
    batch, frames, num_objects, *grid = expected.shape
    feats = TrackFeatures(
        cls_token=query[:, :, :, 0].flatten(2).transpose(0, 1),
        patch_tokens=tensor(data['patch_tokens_TBND'])[0],
        query=query[0, :, :, 1:].transpose(1, 2).flatten(2),
        key=key[..., 1:, :].permute(1, 0, 3, 2, 4).flatten(3),
        cls_attn=scores.softmax(-1)[:, :, 0, 1:])
    head = SinkhornPrototypeHead(
        num_objects,
        epsilon=float(data['eps']),
        num_iters=int(data['iters']),
        normalize_tokens=True,
        plan_mass='patch')
    tracks = head(feats, heads=tensor(data['heads']).expand(batch, -1))
    clips = torch.zeros(batch, frames, 3, *(16 * side for side in grid))
    masks = MultiObjectMaskTransform('batch')(dict(
        clips=clips, track_attn=tracks.track_attn))['object_masks']

    unit = tracks.track_attn / tracks.track_attn.norm(dim=-1, keepdim=True)
    margin = (unit - unit.mean((0, 3), keepdim=True)).abs().view_as(masks)
    differ = (masks != expected) & (margin > 1e-6)
    assert not differ.any()
    assert (margin > 1e-6).float().mean() > 0.99


def test_loss_gradients_and_centre():
    data = load('loss')
    teacher = tensor(data['teacher_logits_TBP']).transpose(0, 1)[None]
    masked = tensor(data['masked_logits_KTBP']).requires_grad_()
    local = tensor(data['local_logits_TLBP']).requires_grad_()
    loss_module = DoRALoss(
        teacher.shape[-1],
        student_temp=float(data['student_temp']),
        teacher_temp=float(data['teacher_temp']),
        center_momentum=float(data['center_momentum']),
        object_weight=0.5,
        local_weight=0.5,
        carry_frame_loss=True,
        skip_first_local=True)
    loss_module.center.copy_(tensor(data['center_before']))
    losses = loss_module(teacher,
                         masked.transpose(1, 2)[None],
                         loss_module.select_local(local.permute(1, 2, 0, 3)))
    loss = losses['loss_object'] + losses['loss_local']
    loss.backward()
    loss_module.update_center(teacher)
    assert_close(loss.detach(), data['loss'])
    assert_close(masked.grad, data['grad_masked_KTBP'])
    assert_close(local.grad, data['grad_local_TLBP'])
    assert_close(loss_module.center, data['center_after'])


def final_value(values, warmup=0):
    """What a cosine after the warm-up would end at."""
    values = values[warmup:]
    share = (1 + np.cos(np.pi * (len(values) - 1) / len(values))) / 2
    return (values[-1] - values[0] * share) / (1 - share)


def test_schedules():
    data = load('schedules')
    epochs, length = int(data['epochs']), int(data['iters_per_epoch'])
    weight, bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    lr, decay = data['lr'].max(), data['weight_decay'][0]
    # Length of the warm-up: where the reference reaches its largest value.
    warmup = (int(data['lr'].argmax()) + 1) // length
    optimizer = torch.optim.AdamW([
        dict(params=[weight], weight_decay=decay),
        dict(params=[bias], weight_decay=0.)
    ],
                                  lr=lr)
    wrapper = OptimWrapper(optimizer)
    build = WarmupCosineScheduler.build_iter_from_epoch
    schedulers = [
        build(
            wrapper,
            'lr',
            final_value(data['lr'], warmup * length),
            end=epochs,
            epoch_length=length,
            warmup=warmup),
        build(
            wrapper,
            'weight_decay',
            final_value(data['weight_decay']),
            end=epochs,
            epoch_length=length)
    ]
    values = []
    for _ in range(epochs * length):
        groups = wrapper.param_groups
        values.append((groups[0]['lr'], groups[0]['weight_decay'],
                       groups[1]['weight_decay']))
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    lrs, decays, bias_decays = np.array(values).T
    assert_close(lrs, data['lr'])
    assert_close(decays, data['weight_decay'])
    assert not bias_decays.any()

    ema = TeacherEMAHook(data['momentum_teacher'][0], 1.)
    assert_close(
        np.array([
            ema.momentum_at(step, epochs * length)
            for step in range(epochs * length)
        ]), data['momentum_teacher'])
    temps = data['teacher_temp']
    hook = TeacherTempHook(temps[-1], temps[0], int(temps.argmax()) + 1)
    assert_close(
        np.array([hook.temp_at(epoch) for epoch in range(epochs)]), temps)


def test_vit_features():
    data = load('vit_tiny')
    backbone = DoRAViT(authors_arch(), pos_interp='dino', out_type='raw')
    names = [name for name in SHAPES if name.startswith('backbone.')]
    state_dict = {
        our_name(name)[len('backbone.'):]:
        authors_weight(name[len('backbone.'):], SHAPES[name])
        for name in names
    }
    backbone.load_state_dict(state_dict, strict=True)
    backbone.eval()
    random = np.random.RandomState(int(data['input_seed']))
    large, small = (
        tensor(random.standard_normal((1, 3, size, size)).astype(np.float32))
        for size in (224, 112))
    with torch.no_grad():
        tokens = backbone(large)[-1]
        feats = backbone.forward_track(large[None], -1, 'final')
        cls_small = backbone(small)[-1][:, 0]
    assert_close(tokens[:, 0], data['cls_224'])
    assert_close(tokens, data['tokens_224'])
    assert_close(cls_small, data['cls_112'])
    assert_close(feats.cls_token[0], data['cls_224'])
    assert_close(feats.patch_tokens, data['tokens_224'][:, 1:])
    assert_close(feats.cls_attn, data['cls_attn_224'][..., 1:])
    for ours, name in ((feats.query, 'query_224'), (feats.key[0], 'key_224')):
        expected = data[name][:, :, 1:].swapaxes(1, 2)
        assert_close(ours, expected.reshape(*expected.shape[:2], -1))


def build_model(settings):
    bottleneck, hidden = SHAPES['head.mlp.4.weight']
    model = MODELS.build(
        dict(
            type='dora_mm.DoRA',
            backbone=dict(
                type='dora_mm.DoRAViT',
                arch=authors_arch(),
                pos_interp='dino',
                drop_path_rate=settings['drop_path']),
            neck=dict(
                type='dora_mm.DINONeck',
                in_channels=SHAPES['backbone.cls_token'][-1],
                out_channels=settings['P'],
                hidden_channels=hidden,
                bottleneck_channels=bottleneck,
                norm_last_layer=False),
            head=dict(
                type='dora_mm.SinkhornPrototypeHead',
                num_objects=settings['k'],
                normalize_tokens=True,
                plan_mass='patch'),
            mask=dict(type='dora_mm.MultiObjectMaskTransform', mode='batch'),
            loss=dict(
                type='dora_mm.DoRALoss',
                out_channels=settings['P'],
                student_temp=settings['student_temp'],
                teacher_temp=settings['teacher_temp'],
                center_momentum=settings['center_momentum'],
                object_weight=0.5,
                local_weight=0.5,
                carry_frame_loss=True,
                skip_first_local=True),
            data_preprocessor=dict(type='mmengine.BaseDataPreprocessor'),
            track_layer=-1,
            patch_feature='final'))
    state_dict = {
        our_name(name): authors_weight(name, shape)
        for name, shape in SHAPES.items()
    }
    missing, unexpected = model.load_state_dict(state_dict, strict=False)
    assert not unexpected
    assert all(
        name.startswith('teacher.') or name == 'loss_module.center'
        for name in missing)
    model.update_teacher(0.)
    return model.train()


def abs_sum(parameters):
    return sum(p.detach().double().abs().sum().item() for p in parameters)


def test_training_steps():
    reference = json.loads((REFERENCE / 'train_steps.json').read_text())
    settings, steps = reference['settings'], reference['steps']
    model = build_model(settings)
    student = [*model.backbone.parameters(), *model.neck.parameters()]
    optimizer = torch.optim.AdamW([
        dict(params=[p for p in student if p.ndim > 1]),
        dict(params=[p for p in student if p.ndim == 1], weight_decay=0.)
    ],
                                  lr=settings['lr'],
                                  weight_decay=settings['weight_decay'])
    clip_hook = PerParameterClipHook(settings['clip_grad'])
    random = np.random.RandomState(settings['input_seed'])
    batch, frames = settings['B'], settings['T']

    def clips(num, size):
        return torch.stack([
            tensor(
                random.standard_normal(
                    (batch, frames, 3, size, size)).astype(np.float32))
            for _ in range(num)
        ])

    for i, expected in enumerate(steps):
        inputs = dict(
            global_clips=clips(1, 224),
            local_clips=clips(settings['L'], settings['local_crop_size']))
        heads = torch.tensor(expected['heads']).expand(batch, -1)
        model.head.draw_heads = lambda *_: heads
        coverage = []
        mask = model.mask_transform.transform
        model.mask_transform.transform = lambda results: coverage.append(
            mask(results)) or results
        losses = model.loss(inputs)
        model.mask_transform.transform = mask
        loss = losses['loss_object'] + losses['loss_local']
        loss.backward()
        assert_close(loss.detach(), expected['loss'], 1e-4 if i == 0 else 1e-3)
        kept = coverage[0]['object_masks'].mean((0, 1, 3, 4))
        assert_close(kept, expected['mask_fraction'], 1e-2 if i else 1e-5)
        assert_close(
            clip_hook.clip(optimizer), expected['grad_norm'],
            1e-4 if i == 0 else 3e-3)
        if i < settings['freeze_last_layer_steps']:
            for param in model.last_layer_parameters():
                param.grad = None
        optimizer.step()
        optimizer.zero_grad()
        model.update_teacher(settings['teacher_momentum'])
        for ours, name in ((student, 'student'), (model.teacher.parameters(),
                                                  'teacher'),
                           ([model.loss_module.center], 'center')):
            # The student moves by 2e-4 of its sum in a step.
            assert_close(abs_sum(ours), expected[f'{name}_abs_sum'], 1e-5)
