"""Files of strangers are read without running their code."""
import os
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner

from dora_mm import checkpoints
from dora_mm.checkpoints import load_trusted
from dora_mm.models import build_backbone

convert = partial(checkpoints.convert, build=build_backbone)


class _Payload:

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f'touch {self.path}', )


@pytest.mark.parametrize('legacy', [False, True])
def test_pickled_code_is_refused(make_authors, run_tool, tmp_path, legacy):
    trap = tmp_path / 'executed'
    source, target = tmp_path / 'evil.pth', tmp_path / 'out.pth'
    evil = dict(make_authors(), args=_Payload(trap))
    torch.save(evil, source, _use_new_zipfile_serialization=not legacy)
    result = run_tool('convert_checkpoint.py', source, target, '--to', 'timm')
    assert result.returncode != 0
    assert 'system' in result.stderr and '--trust' in result.stderr
    assert 'Traceback' not in result.stderr
    assert not trap.exists() and not target.exists()

    # it was a working trap: with --trust it runs, and the rest is converted
    result = run_tool('convert_checkpoint.py', source, target, '--to', 'timm',
                      '--trust')
    assert trap.exists() and target.exists(), result.stderr
    assert result.stdout.splitlines()[0] == 'source layout: dino'
    assert result.stdout.splitlines()[-1] == str(target)


class _GetAttr:

    def __reduce__(self):
        return getattr, (HistoryBuffer, 'mean')


def test_arguments_of_a_run_are_data(make_authors, save):
    data = load_trusted(save(make_authors()))
    assert vars(data['args']) == dict(arch='vit_tiny', out_dim=24)


def test_known_names_are_never_called(save):
    # both names occur in runner checkpoints, and getattr reaches everything
    data = load_trusted(save(dict(a=_GetAttr(), b=HistoryBuffer([1.], [1]))))
    assert not callable(data['a'])
    assert not isinstance(data['b'], HistoryBuffer)


def test_damaged_files_are_named(make_authors, save, tmp_path):
    source = Path(save(make_authors()))
    source.write_bytes(source.read_bytes()[:2000])
    with pytest.raises(ValueError, match='source.pth cannot be read'):
        load_trusted(source)


@pytest.mark.parametrize('content', [
    b'', b'#!/bin/bash\n', b'\0\0\0\x20ftypisom', b'\x89PNG\r\n',
    b'\x1a\x45\xdf\xa3'])  # yapf: disable
def test_another_kind_of_file_is_not_to_be_trusted(tmp_path, content):
    """It was said to need --trust."""
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ValueError, match='must be a checkpoint') as error:
        load_trusted(tmp_path / 'a.pth')
    assert 'trust' not in str(error.value)


def test_a_flipped_bit_of_a_weight_is_noticed(make_authors, save):
    """torch does not look at the checksums of an archive."""
    data = make_authors()
    source = Path(save(data))
    weight = data['teacher']['backbone.pos_embed'].numpy().tobytes()
    content = bytearray(source.read_bytes())
    content[content.index(weight) + 40] ^= 1
    source.write_bytes(content)
    assert torch.load(source, weights_only=False) is not None
    with pytest.raises(ValueError, match='cannot be read .*checksums'):
        load_trusted(source)


def test_no_flipped_bit_in_the_table_of_contents_changes_a_weight(save):
    """With one bit torch takes a member for a folder and leaves it empty."""
    expected = torch.arange(1, 7)
    source = Path(save(dict(weight=expected)))
    content = source.read_bytes()
    end = content.rindex(b'/data/0')  # its entry
    outcomes = set()
    for place in range(content.rindex(b'PK\1\2', 0, end), end + 7):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            source.write_bytes(changed)
            try:
                found = load_trusted(source)['weight']
                outcomes.add(torch.equal(found, expected))
            except ValueError:
                outcomes.add('refused')
    assert outcomes == {True, 'refused'}


class _Tiny(BaseModel):
    """The parts of our models that a checkpoint has, without a loss."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            owner = self
            *path, last = name.split('.')
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, torch.nn.Module())
                owner = owner._modules[part]
            owner.register_parameter(last, torch.nn.Parameter(tensor))

    def forward(self, inputs, mode='loss'):
        total = sum(p.sum() for p in self.parameters())
        return dict(loss=0 * total + inputs.sum())


def test_real_runner_checkpoint(make_authors, save, tmp_path):
    convert(save(make_authors()), tmp_path / 'ours.pth', 'dora_mm')
    state = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    runner = Runner(
        model=_Tiny(state),
        work_dir=str(tmp_path / 'work'),
        train_dataloader=dict(
            dataset=[dict(inputs=torch.ones(2))] * 4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            batch_size=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        param_scheduler=dict(type='LinearLR', start_factor=0.1, end=1),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
        load_from=str(tmp_path / 'ours.pth'),
        default_scope='mmengine',
        experiment_name='tiny')
    runner.train()
    source = tmp_path / 'work' / 'epoch_1.pth'
    # torch by itself refuses: the logs are in the file
    with pytest.raises(Exception, match='HistoryBuffer'):
        torch.load(source, weights_only=True)
    said = dict(num_heads=1, img_size=32, norm_eps=1e-6, activation='gelu')
    report = convert(source, tmp_path / 'back.pth', 'dino', **said)
    assert {'optimizer', 'message_hub'} <= set(report.dropped)
    found = torch.load(tmp_path / 'back.pth', weights_only=True)
    for part in ('student', 'teacher', 'dino_loss'):
        for name, tensor in make_authors()[part].items():
            assert torch.equal(found[part][name], tensor), name
    assert found['epoch'] == 1 and found['meta']['iter'] == 2
