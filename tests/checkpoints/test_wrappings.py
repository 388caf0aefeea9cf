"""State dicts as programs wrap them."""
from functools import partial

import pytest
import torch
from small_runs import assert_same_features, make_run

from dora_mm import checkpoints
from dora_mm.models import build_backbone, load_backbone

publish = partial(checkpoints.publish, build=build_backbone)


def rewrite(path, change):
    data = torch.load(path, weights_only=True)
    torch.save(change(data), path)


@pytest.mark.parametrize('prefix', [
    'module.module.teacher.', '_orig_mod.teacher.', 'teacher._orig_mod.',
    'module._orig_mod.teacher.', '_orig_mod.module.teacher.'
])  # yapf: disable
@pytest.mark.parametrize('say', [True, False])
def test_prefixes_of_wrappers_are_stripped(tmp_path, prefix, say):
    """DistributedDataParallel's and torch.compile's, which can be nested."""
    own = make_run(tmp_path / 'run.pth', heads=8, say=say)
    rewrite(
        tmp_path / 'run.pth', lambda data: dict(
            data,
            state_dict={
                name.replace('teacher.', prefix): tensor
                for name, tensor in data['state_dict'].items()
                if name.startswith('teacher.')
            }))
    said = {} if say else dict(
        num_heads=8, img_size=32, norm_eps=1e-6, activation='gelu')
    path = publish(tmp_path / 'run.pth', tmp_path / 'p.pth', **said).path
    for each in (path, tmp_path / 'run.pth'):
        known = said if each != path else {}
        found = load_backbone(each, pos_interp='size', **known)
        assert_same_features(found, own, (32, 32))


def test_one_tensor_under_two_keys_is_refused(tmp_path):
    """The last of them was taken without a word."""
    make_run(tmp_path / 'run.pth')
    name = 'teacher.backbone.cls_token'
    for key in (f'module.{name}', f'_orig_mod.{name}'):

        def double(data):
            state = data['state_dict']
            return dict(data, state_dict={**state, key: state[name] + 1})

        make_run(tmp_path / 'run.pth')
        rewrite(tmp_path / 'run.pth', double)
        with pytest.raises(ValueError, match=rf'unused keys .1.:\s+{key}'):
            publish(tmp_path / 'run.pth', tmp_path / 'p.pth')


@pytest.mark.parametrize('names', [
    ('state_dict', 'state_dict'),
    ('state_dict', 'model', 'state_dict'),
    ('model_ema', ),
    ('state_dict_ema', ),
    ('ema', 'module'),
    ('module', ),
    ('model', 'model_state_dict'),
])  # yapf: disable
def test_entries_that_hold_the_state_dict(tmp_path, names):
    """One of averages alone, say, was of an unknown layout."""
    own = make_run(tmp_path / 'run.pth')

    def wrap(data):
        state = data['state_dict']
        for name in reversed(names):
            state = {name: state}
        return dict(state, meta=data['meta'], epoch=3)

    rewrite(tmp_path / 'run.pth', wrap)
    report = publish(tmp_path / 'run.pth', tmp_path / 'p.pth')
    assert names[0] not in report.dropped and 'epoch' in report.dropped
    assert_same_features(
        load_backbone(report.path, pos_interp='size'), own, (32, 32))


@pytest.mark.parametrize('name, settings', [
    ('ema', dict(decay=torch.tensor(.99), num_updates=torch.tensor(5))),
    ('model', dict(module='vit', depth=12)),
])  # yapf: disable
def test_settings_named_as_weights_are_not_weights(tmp_path, name, settings):
    """They were refused as a second network."""
    own = make_run(tmp_path / 'run.pth')
    rewrite(tmp_path / 'run.pth', lambda data: {**data, name: settings})
    assert_same_features(
        load_backbone(tmp_path / 'run.pth', pos_interp='size'), own, (32, 32))


def test_a_dict_that_holds_itself_ends(tmp_path):
    data = {}
    data['state_dict'] = data
    torch.save(data, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='layout of the checkpoint is not kn'):
        publish(tmp_path / 'a.pth', tmp_path / 'p.pth')


@pytest.mark.parametrize('name, other', [
    ('state_dict', 'state_dict_ema'), ('model', 'model_ema'),
    ('model', 'ema'), ('state_dict', 'model')])  # yapf: disable
def test_weights_beside_others_are_not_chosen_silently(tmp_path, name, other):
    """Those without their average became the teacher."""
    own = make_run(tmp_path / 'run.pth')
    data = torch.load(tmp_path / 'run.pth', weights_only=True)
    average = data['state_dict']
    plain = {key: tensor + 1 for key, tensor in average.items()}
    both = {name: plain, other: average, 'meta': data['meta']}
    torch.save(both, tmp_path / 'both.pth')
    with pytest.raises(ValueError, match=f"got '{name}' and '{other}'"):
        publish(tmp_path / 'both.pth', tmp_path / 'p.pth')
    # as it says
    torch.save(
        {
            'state_dict': average,
            'meta': data['meta'],
            'model': dict(arch='settings')
        }, tmp_path / 'one.pth')
    assert_same_features(
        load_backbone(tmp_path / 'one.pth', pos_interp='size'), own, (32, 32))
