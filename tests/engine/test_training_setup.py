"""Optimiser groups, schedules, the epoch loop and the atomic backend."""
import os

import pytest
import torch
from mmengine.fileio import get_file_backend
from tiny import build_model, build_runner

from dora_mm.checkpoints.safe_load import load_trusted
from dora_mm.engine import DecayGroupsConstructor, WarmupCosineScheduler
from dora_mm.engine.quiet_runner import naming


def test_decay_groups():
    model = build_model()
    wrapper = DecayGroupsConstructor(
        dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04)))(
            model)
    decayed, flat = wrapper.optimizer.param_groups
    assert decayed['weight_decay'] == 0.04 and flat['weight_decay'] == 0
    names = {id(param): name for name, param in model.named_parameters()}
    for group, is_flat in ((decayed, False), (flat, True)):
        for param in group['params']:
            assert (param.ndim == 1) is is_flat, names[id(param)]
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    grouped = [
        id(p) for group in wrapper.optimizer.param_groups
        for p in group['params']
    ]
    assert set(grouped) == trained and len(grouped) == len(trained)
    with pytest.raises(ValueError, match='paramwise_cfg'):
        DecayGroupsConstructor({}, dict(norm_decay_mult=0.))


def test_warmup_must_fit():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    with pytest.raises(ValueError, match='warmup .* but got 10: train longer'):
        WarmupCosineScheduler(optimizer, 'lr', 0., end=10, warmup=10)
    with pytest.raises(ValueError, match='by_epoch'):
        WarmupCosineScheduler.build_iter_from_epoch(
            optimizer, 'lr', 0., end=3, epoch_length=2, by_epoch=False)


def test_a_damaged_checkpoint_is_no_fault_of_the_config(tmp_path):
    """It was said to be corrected by model.*"""
    path = tmp_path / 'a.pth'
    torch.save(torch.zeros(1000), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match='^[^:]*a.pth cannot be read as'):
        naming('model', load_trusted)(path)
    with pytest.raises(ValueError, match='^optim_wrapper must .*-1'):
        naming('optim_wrapper', torch.optim.SGD)([torch.zeros(1)], lr=-1)


def test_loop_wants_a_sampler_that_skips_and_a_whole_batch(tmp_path):
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=[0] * 8,
        sampler=dict(type='DefaultSampler'))
    with pytest.raises(TypeError, match='ClipSampler'):
        build_runner(tmp_path, train_dataloader=loader).train()
    with pytest.raises(ValueError, match='batch_size must be .* but got 100'):
        build_runner(tmp_path, batch_size=100).train()


def test_changed_epoch_length_restarts_the_epoch(tmp_path, monkeypatch):
    runner = build_runner(tmp_path, max_epochs=3)
    loop = runner.build_train_loop(runner._train_loop)
    runner._train_loop = loop
    loop._epoch, loop._iter = 1, 17  # of a run with longer epochs
    iterations = []
    monkeypatch.setattr(loop, 'run_iter',
                        lambda idx, batch: iterations.append(idx))
    loop.run_epoch()
    assert iterations == [0, 1, 2] and loop._iter == 3


def test_atomic_backend_keeps_the_old_file(tmp_path, monkeypatch):
    backend = get_file_backend(backend_args=dict(backend='dora_mm.atomic'))
    path = tmp_path / 'new' / 'file'
    backend.put(b'old', path)
    backend.put_text('text', path.with_name('text'))
    assert path.with_name('text').read_text() == 'text'
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def no_space(handle):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', no_space)
    with pytest.raises(OSError, match='No space'):
        backend.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert sorted(p.name for p in path.parent.iterdir()) == ['file', 'text']


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask
