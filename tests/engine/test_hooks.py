"""The hooks in real training runs, by their effect on weights."""
import copy
import json
import math

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny import build_runner, model_cfg
from torch import nn

from dora_mm.engine import (FreezeLastLayerHook, PerParameterClipHook,
                            TeacherEMAHook, TeacherTempHook)


class Recorder(Hook):
    """Calls a function with the runner after every iteration."""

    priority = 'LOWEST'

    def __init__(self, function):
        self.function = function
        self.records = []

    def after_train_iter(self, runner, *args, **kwargs):
        self.records.append(copy.deepcopy(self.function(runner)))


def test_accumulated_batches_equal_a_large_one(tmp_path):
    weights = []
    for accumulation in (1, 2):
        recorder = Recorder(lambda runner: teacher_and_student(runner))
        # All heads and a fixed centre: both depend on the iteration.
        build_runner(
            tmp_path / str(accumulation), [
                dict(type='dora_mm.PerParameterClipHook', max_norm=0.1),
                dict(type='dora_mm.FreezeLastLayerHook', num_epochs=1),
                dict(
                    type='dora_mm.TeacherEMAHook',
                    momentum=0.9,
                    end_momentum=0.9), recorder
            ],
            model=model_cfg(
                head=dict(num_objects=4), loss=dict(center_momentum=1.)),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
                accumulative_counts=accumulation),
            batch_size=4 // accumulation).train()
        weights.append(recorder.records[accumulation - 1::accumulation])
    assert len(weights[0]) == len(weights[1]) == 6
    for whole, parts in zip(*weights):
        for one, other in zip(sum(whole, []), sum(parts, [])):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def last_layer(runner):
    return [p.detach() for p in runner.model.last_layer_parameters()]


def teacher_and_student(runner):
    model = runner.model
    student = [*model.backbone.parameters(), *model.neck.parameters()]
    return [p.detach() for p in model.teacher.parameters()
            ], [p.detach() for p in student]


@pytest.mark.parametrize('accumulation', [1, 2])
def test_teacher_follows_each_optimiser_step(tmp_path, accumulation):
    recorder = Recorder(teacher_and_student)
    runner = build_runner(
        tmp_path,
        [dict(type='dora_mm.TeacherEMAHook', momentum=0.9), recorder],
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1),
            accumulative_counts=accumulation))
    runner.train()
    start = recorder.records[0][0]
    for i, (teacher, student) in enumerate(recorder.records):
        if i == 0 and accumulation == 1:
            continue
        before = recorder.records[i - 1][0] if i else start
        momentum = 1 - 0.1 * (1 + math.cos(math.pi * i / 6)) / 2
        if (i + 1) % accumulation:
            momentum = 1.
        for t, old, s in zip(teacher, before, student):
            torch.testing.assert_close(t, momentum * old + (1 - momentum) * s)
    moved = zip(recorder.records[-1][0], start)
    assert all(not torch.equal(new, old) for new, old in moved)


def test_checkpoints_of_epochs_lie_between_no_two_batches_of_a_step(tmp_path):
    """They were saved there, and the gradients summed so far were lost."""
    hook = dict(
        type='dora_mm.StepCheckpointHook', by_epoch=True, interval=1)
    settings = dict(
        default_hooks=dict(checkpoint=hook),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1), accumulative_counts=2))
    # an epoch of this data has three batches of four clips
    with pytest.raises(ValueError, match='by_epoch must be False .* 3 batches'
                       ' and accumulative_counts=2'):
        build_runner(tmp_path / 'a', **settings).train()
    hook['interval'] = -1  # never
    build_runner(tmp_path / 'c', **settings).train()
    hook['interval'] = 2
    build_runner(tmp_path / 'b', **settings).train()
    assert (tmp_path / 'b/epoch_2.pth').is_file()


def test_last_layer_is_frozen_without_a_trace(tmp_path):
    steps = Recorder(lambda runner: [
        runner.optim_wrapper.optimizer.state[p].get('step')
        for p in runner.model.last_layer_parameters()
    ])
    weights = Recorder(last_layer)
    runner = build_runner(tmp_path, [
        dict(type='dora_mm.FreezeLastLayerHook', num_epochs=1), steps, weights
    ])
    runner.train()
    first = weights.records[0]
    for i, (weight, step) in enumerate(zip(weights.records, steps.records)):
        frozen = all(torch.equal(w, f) for w, f in zip(weight, first))
        assert frozen is (i < 3)  # three iterations an epoch
        assert all(s is None for s in step) is (i < 3)


def clip_in_loops(grads, max_norm):
    return [g * min(1., max_norm / (g.norm().item() + 1e-6)) for g in grads]


def parameters_with_grads(scale=1.):
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(4, 5)) for _ in range(3)]
    for param, size in zip(params, (0.1, 1., 10.)):
        param.grad = torch.randn(4, 5) * size * scale
    return params


def test_clipping_is_by_parameter():
    params = parameters_with_grads()
    grads = [p.grad.clone() for p in params]
    norm = PerParameterClipHook(3.).clip(torch.optim.SGD(params, lr=1.))
    assert norm.item() == pytest.approx(
        math.sqrt(sum(g.norm().item()**2 for g in grads)), rel=1e-5)
    for param, expected in zip(params, clip_in_loops(grads, 3.)):
        torch.testing.assert_close(param.grad, expected)
    torch.testing.assert_close(params[0].grad, grads[0])
    assert params[2].grad.norm() < grads[2].norm() / 5


@pytest.mark.parametrize('fused', [False, True])
def test_clipping_sees_unscaled_gradients(fused):
    """A fused optimiser unscales in its own kernel, after the hook."""
    updates = []
    for scale in (1., 1024.):
        params = parameters_with_grads(scale)
        before = [p.detach().clone() for p in params]
        optimizer = torch.optim.SGD(params, lr=1., fused=fused)

        def clip(optimizer, *_):
            PerParameterClipHook(3.).clip(optimizer)

        optimizer.register_step_pre_hook(clip)
        if scale == 1:
            optimizer.step()
        else:
            scaler = torch.amp.GradScaler('cpu', init_scale=scale)
            scaler.scale(torch.zeros(()))  # starts it
            scaler.step(optimizer)
        updates.append([p - b for p, b in zip(params, before)])
    for plain, scaled in zip(*updates):
        torch.testing.assert_close(plain, scaled, rtol=1e-4, atol=1e-5)


def test_clipping_and_its_log_in_a_run(tmp_path):
    norms = Recorder(lambda runner: float(
        runner.message_hub.get_scalar('train/grad_norm').current()))
    weights = Recorder(lambda runner: teacher_and_student(runner)[1])
    runner = build_runner(
        tmp_path, [
            dict(type='dora_mm.PerParameterClipHook', max_norm=1e-2), norms,
            weights
        ],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)),
        max_epochs=1)
    runner.train()
    assert len(norms.records) == 3 and min(norms.records) > 2e-2
    moves = [(new - old).norm().item()
             for before, after in zip(weights.records, weights.records[1:])
             for old, new in zip(before, after)]
    assert max(moves) == pytest.approx(1e-2, rel=1e-2) and min(moves) > 0


class CountedReads(torch.Tensor):
    """A tensor that counts how often its value is asked for."""
    reads = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.reads += func.__name__ in ('item', 'tolist', '__float__')
        return super().__torch_function__(func, types, args, kwargs or {})


def test_scalars_are_read_late_and_all(tmp_path):
    """The same numbers as mmengine's hook logs, in as many places."""
    buffers, reads = [], []
    for name in ('mmengine.RuntimeInfoHook', 'dora_mm.LateRuntimeInfoHook'):
        runner = build_runner(
            tmp_path / name, [
                dict(type='dora_mm.StepSeedHook'),
                dict(type='dora_mm.PerParameterClipHook', max_norm=0.1)
            ],
            batch_size=2,
            default_hooks=dict(
                checkpoint=None,
                logger=dict(type='LoggerHook', interval=4),
                runtime_info=dict(type=name)))
        parse = runner.model.parse_losses

        def counted(losses):
            loss, log = parse(losses)
            return loss, {
                key: value.detach().as_subclass(CountedReads)
                for key, value in log.items()
            }

        runner.model.parse_losses = counted
        CountedReads.reads = 0
        runner.train()
        reads.append(CountedReads.reads)
        scalars = runner.message_hub.log_scalars
        buffers.append({
            key: scalars[f'train/{key}'].data
            for key in ('loss', 'kl', 'grad_norm')
        })
    for key, (numbers, _) in buffers[0].items():
        assert len(numbers) == 12
        assert numbers.tolist() == buffers[1][key][0].tolist()
    # Twelve iterations of eight values; four readings.
    assert reads[0] >= 12 * 8 and reads[1] == 4


def test_one_setting_decides_how_often_the_log_is_written(tmp_path):
    """Lines without losses came of four settings that did not agree."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    cfg.default_hooks.logger.interval = 2
    cfg.default_hooks.checkpoint = None
    runner = build_runner(
        tmp_path, [
            dict(type='dora_mm.TeacherEMAHook'),
            dict(type='dora_mm.PretrainMonitorHook')
        ],
        batch_size=3,
        default_hooks=cfg.default_hooks,
        log_processor=cfg.log_processor,
        param_scheduler=dict(
            type='dora_mm.WarmupCosineScheduler',
            param_name='lr',
            final_value=0.,
            convert_to_iter_based=True))
    runner.train()
    losses, rates, momenta = (
        runner.message_hub.get_scalar(f'train/{name}').data[0]
        for name in ('loss', 'lr', 'momentum'))
    log, = tmp_path.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line['step'] for line in lines] == [2, 4, 6, 8]
    for i, line in enumerate(lines):
        assert line['loss'] == pytest.approx(losses[2 * i:2 * i + 2].mean())
        assert line['lr'] == rates[2 * i + 1]  # a state, not a mean
        assert line['momentum'] == momenta[2 * i + 1]
        assert line['clips_per_sec'] > 0


def test_teacher_temperature_of_each_epoch(tmp_path):
    temps = Recorder(lambda runner: runner.model.loss_module.teacher_temp)
    build_runner(
        tmp_path, [
            dict(
                type='dora_mm.TeacherTempHook',
                start=0.04,
                end=0.07,
                warmup_epochs=3), temps
        ],
        max_epochs=5).train()
    assert temps.records[::3] == pytest.approx([.04, .055, .07, .07, .07])


def test_seeds_depend_on_the_iteration_alone(tmp_path):
    draws = Recorder(lambda runner: (torch.rand(
        ()).item(), runner.model.head._generator.get_state()))
    runner = build_runner(tmp_path / '1',
                          [dict(type='dora_mm.StepSeedHook'), draws])
    runner.train()
    again = Recorder(draws.function)
    torch.manual_seed(123)
    runner = build_runner(tmp_path / '2',
                          [dict(type='dora_mm.StepSeedHook'), again])
    runner.train()
    first, second = draws.records, again.records
    assert [x for x, _ in first] == [x for x, _ in second]
    assert len({x for x, _ in first}) == 6
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, second))


def test_monitor_warns_of_what_no_loss_shows(tmp_path):
    monitor = dict(type='dora_mm.PretrainMonitorHook')
    hooks = dict(
        checkpoint=None, logger=dict(type='LoggerHook', interval=3))
    runner = build_runner(
        tmp_path, [dict(monitor, min_kl=0.)],
        model=model_cfg(
            track_layer=-2,
            patch_feature='attention',
            head=dict(normalize_tokens=False, plan_mass='unit')),
        max_epochs=1,
        default_hooks=hooks)
    warnings = []
    runner.logger.warning = lambda message: warnings.append(message)
    runner.train()
    # This reading at random weights: one object, twice.
    warning, = warnings
    assert 'overlap 1.000' in warning and 'normalize_tokens' in warning
    warnings.clear()
    assert runner.message_hub.get_scalar('train/clips_per_sec').current() > 0

    runner = build_runner(
        tmp_path / '2', [dict(monitor, min_kl=100.)],
        max_epochs=1,
        default_hooks=hooks)
    runner.logger.warning = lambda message: warnings.append(message)
    attn = torch.full((8, 2, 2, 16), 1 / 16)  # constant: all masks are empty
    forward = runner.model.head._forward
    runner.model.head._forward = lambda *args: forward(*args)._replace(
        track_attn=attn)
    runner.train()
    assert len(warnings) == 2
    assert 'collapsed' in warnings[0]
    assert '100.00% of the object masks' in warnings[1]


@pytest.mark.parametrize('build, word', [
    (lambda: TeacherEMAHook(1.004), 'momentum'),
    (lambda: TeacherTempHook(0., 0.04, 1), 'end=0.0'),
    (lambda: FreezeLastLayerHook(-1), 'num_epochs'),
    (lambda: PerParameterClipHook(0.), 'max_norm'),
])
def test_bad_arguments(build, word):
    with pytest.raises(ValueError, match=word):
        build()
