"""Nothing that is not finite gets into a checkpoint."""
import json

import pytest
import torch
from clean_python import ROOT
from mmengine.config import Config
from tiny import build_runner

from dora_mm.engine import FiniteHook

NAN, INF = float('nan'), float('inf')


def run(tmp_path, spoil, at=4, interval=50, **kwargs):
    """Train eight iterations; ``spoil(runner)`` before iteration ``at``."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/default_runtime.py')
    cfg.default_hooks.logger.interval = interval
    cfg.default_hooks.checkpoint.interval = 3
    runner = build_runner(
        tmp_path, [dict(type='dora_mm.TeacherEMAHook')],
        batch_size=3,
        default_hooks=cfg.default_hooks,
        **kwargs)
    step = runner.model.train_step

    def train_step(data, optim_wrapper):
        if runner.iter == at:
            spoil(runner)
        return step(data, optim_wrapper)

    runner.model.train_step = train_step
    with pytest.raises(RuntimeError) as error:
        runner.train()
    report = json.loads((tmp_path / 'non_finite.json').read_text())
    for path in tmp_path.glob('*.pth'):
        state = torch.load(path, weights_only=False)['state_dict']
        assert all(t.isfinite().all() for t in state.values()), path
    return runner, str(error.value), report


def spoil_weight(value):

    def spoil(runner):
        next(runner.model.neck.parameters()).data[3, 1] = value

    return spoil


@pytest.mark.parametrize('value', [NAN, INF])
@pytest.mark.parametrize('interval', [1, 50])
def test_loss(tmp_path, value, interval):
    """With a rare log, what stops the run is the checkpoint that is due."""
    runner, message, report = run(
        tmp_path, spoil_weight(value), interval=interval)
    assert 'loss ' in message and 'in iteration 5,' in message
    assert runner.iter == (4 if interval == 1 else 5)
    assert report['iteration'] == 4
    assert report['first'][0].startswith('loss ')
    # No step follows the last checkpoint of finite numbers.
    assert [p.name for p in tmp_path.glob('*.pth')] == ['iter_3.pth']


def test_the_clips_of_the_iteration_are_named(tmp_path):
    """Those that the loader yields there, which needs no training."""
    runner, _, report = run(tmp_path, spoil_weight(NAN))
    loader = runner.train_dataloader
    loader.sampler.set_epoch(1)
    batches = [[s.seed for s in batch['data_samples']] for batch in loader]
    clips, = report['clips']
    assert [clip['seed'] for clip in clips] == batches[0]  # 4 an epoch
    assert report['seed'] == runner.seed


def test_centre(tmp_path):
    """It only shows in the loss one iteration later."""

    def spoil(runner):
        update = runner.model.loss_module.update_center

        def poisoned(logits):
            update(logits)
            runner.model.loss_module.center[0, 5] = INF

        runner.model.loss_module.update_center = poisoned

    _, message, report = run(tmp_path, spoil, at=1)
    assert 'buffer loss_module.center is not finite in iteration 2' in message
    assert report['first'] == ['buffer loss_module.center']


def test_gradient(tmp_path):

    def spoil(runner):
        param = runner.model.backbone.layers[1].ffn.layers[1].weight
        param.register_hook(lambda grad: grad * INF)

    _, message, report = run(tmp_path, spoil)
    name = 'backbone.layers.1.ffn.layers.1.weight'
    assert f'gradient {name} is not finite in iteration 5' in message
    assert report['first'][0] == f'gradient {name}'


def test_weight(tmp_path):
    """Finite gradients, but a step out of the range of float32."""

    def spoil(runner):
        next(runner.model.neck.parameters()).register_hook(
            lambda grad: grad * 1e20)
        runner.optim_wrapper.optimizer.param_groups[0]['lr'] = 1e30

    _, message, _ = run(
        tmp_path, spoil, optim_wrapper=dict(optimizer=dict(type='SGD', lr=.1)))
    assert 'weight neck.' in message and 'in iteration 5' in message


def test_moments_are_not_saved_either(tmp_path):
    """The optimiser's state is of no iteration; saving looks at it."""
    runner = build_runner(tmp_path, max_epochs=1)
    runner.train()
    state = next(iter(runner.optim_wrapper.optimizer.state.values()))
    state['exp_avg_sq'].fill_(INF)
    runner.register_hook(FiniteHook())
    with pytest.raises(RuntimeError, match='exp_avg_sq .*not written'):
        runner.save_checkpoint(str(tmp_path), 'bad.pth')
    assert not (tmp_path / 'bad.pth').exists()


def test_what_a_loss_scaler_skips_is_fine(tmp_path):
    """A fused optimiser runs its hooks in a skipped step as well."""
    runner = build_runner(tmp_path, max_epochs=1)
    runner.model.train()
    hook = FiniteHook()
    runner.train_loop
    runner.optim_wrapper = runner.build_optim_wrapper(
        dict(optimizer=dict(type='AdamW', lr=1e-3, fused=True)))
    hook.before_train(runner)
    scaler = torch.amp.GradScaler('cpu', init_scale=1024.)
    optimizer = runner.optim_wrapper.optimizer
    param = optimizer.param_groups[0]['params'][0]
    for scale, stops in ((scaler, False), (None, True)):
        param.grad = torch.full_like(param, INF)
        if scale is None:
            optimizer.step()
        else:
            scale.scale(torch.zeros(()))  # starts it
            scale.step(optimizer)
        if stops:
            with pytest.raises(RuntimeError, match='gradient'):
                hook._read(runner)
        else:
            hook._read(runner)
            assert param.isfinite().all()
