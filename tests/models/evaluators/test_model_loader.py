import sys

import pytest
import torch
from clean_python import run
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from tiny import RandomClips, build_model, model_cfg

from dora_mm import config_path
from dora_mm.models import ModelLoader

DEMO = config_path('dora/vit-t16_demo.py')
CLIP = torch.randn(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def save_run(path, model, **changes):
    """A runner checkpoint."""
    cfg = f'default_scope = "mmpretrain"\nmodel = {model_cfg(**changes)!r}\n'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg)), path)
    return path


def test_config_gives_the_weights_that_the_run_starts_from(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text('default_scope = "mmpretrain"\n'
                      f'model = {model_cfg()!r}\nrandomness = dict(seed=3)\n')
    seen = {}
    runner = Runner(
        model=model_cfg(),
        work_dir=str(tmp_path),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='dora_mm.ClipSampler'),
            dataset=RandomClips()),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_hooks=dict(checkpoint=None),
        default_scope='mmpretrain',
        randomness=dict(seed=3),
        log_level='ERROR')
    runner.call_hook = lambda name, **_: None
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.train_loop.run = lambda: seen.update(runner.model.state_dict())
    runner.train()
    loader = ModelLoader(config)
    # features and tracks are those of one network, the run's
    tracker, backbone = loader.tracker(), loader.backbone()
    for name, tensor in tracker.state_dict().items():
        assert torch.equal(tensor, seen[name]), name
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, seen[f'teacher.backbone.{name}']), name


def test_random_weights_are_drawn_without_a_word(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(f'model = {model_cfg()!r}\n')
    done = run(
        sys.executable, '-c', 'import sys; from dora_mm.apis import '
        'ModelLoader; ModelLoader(sys.argv[1]).tracker()', config)
    assert done.returncode == 0, done.stderr
    assert 'Initialized by' not in done.stdout + done.stderr


@pytest.mark.parametrize('prefix', [
    'module.', '_orig_mod.', 'module._orig_mod.'])  # yapf: disable
def test_a_whole_model_that_programs_have_wrapped(tmp_path, prefix):
    """Its backbone was read, and the model itself refused."""
    own = build_model()
    path = save_run(tmp_path / 'iter_1.pth', own)
    data = torch.load(path, weights_only=True)
    state = {f'{prefix}{key}': value
             for key, value in data['state_dict'].items()}
    torch.save(dict(meta=data['meta'], model=dict(state_dict=state)), path)
    found = ModelLoader(path).tracker().state_dict()
    assert found.keys() == own.state_dict().keys()
    for name, tensor in own.state_dict().items():
        assert torch.equal(found[name], tensor), name
    state[f'module.{prefix}neck.mlp.0.bias'] = torch.zeros(1)
    torch.save(dict(meta=data['meta'], state_dict=state), path)
    with pytest.raises(ValueError, match='neck.mlp.0.bias once, but got mod'):
        ModelLoader(path).tracker()


def test_loading_leaves_the_process_as_it_was(tmp_path):
    path = save_run(tmp_path / 'iter_1.pth', build_model())
    state = torch.get_rng_state()
    for scope in (None, 'mmdet'):
        if scope is not None:
            DefaultScope.get_instance('other', scope_name=scope)
        before = dict(DefaultScope._instance_dict)
        for source in (DEMO, path, 'colour'):
            loader = ModelLoader(source)
            loader.backbone(num_heads=4)
            if loader.tracks:
                loader.tracker()
            assert DefaultScope._instance_dict.keys() == before.keys()
            current = DefaultScope.get_current_instance()
            assert (current and current.scope_name) == scope
    assert torch.equal(torch.get_rng_state(), state)


def test_backbone_and_tracker_of_a_checkpoint_agree(tmp_path):
    model = build_model().eval()
    loader = ModelLoader(save_run(tmp_path / 'iter_1.pth', model))
    loader.tracker().seed_step(1)
    tracker = loader.tracker()
    for part in (tracker, model):
        part.seed_step(1)
    found, expected = tracker.track(CLIP), model.track(CLIP)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    for key, backbone in (('teacher', model.teacher['backbone']),
                          ('student', model.backbone)):
        state = loader.backbone(key, num_heads=4).state_dict()
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(state[name], tensor), name


def test_who_tracks(tmp_path):
    dino = save_run(tmp_path / 'dino.pth', build_model('DINO'), name='DINO')
    state = build_model().state_dict()
    bare = tmp_path / 'bare.pth'
    torch.save(dict(state_dict=state), bare)
    assert ModelLoader(DEMO).tracks and ModelLoader(bare, DEMO).tracks
    for source in (dino, config_path('dino/vit-t16_demo.py')):
        assert not ModelLoader(source).tracks
        with pytest.raises(ValueError, match='does not track'):
            ModelLoader(source).tracker()
    assert not ModelLoader(bare).tracks
    with pytest.raises(ValueError, match='no runner checkpoint'):
        ModelLoader(bare).tracker()


def test_unfit_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match='is not a file'):
        ModelLoader(tmp_path / 'none.pth')
    path = tmp_path / 'bare.pth'
    torch.save(dict(a=torch.ones(1)), path)
    with pytest.raises(ValueError, match='is not known'):
        ModelLoader(path)
    with pytest.raises(ValueError, match='none.py is not a file'):
        ModelLoader(path, tmp_path / 'none.py')
    model = build_model()
    del model.teacher['backbone'].cls_token
    save_run(path, model)
    with pytest.raises(ValueError, match='teacher.backbone.cls_token'):
        ModelLoader(path).tracker()
