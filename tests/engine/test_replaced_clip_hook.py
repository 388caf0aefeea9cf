import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch import nn

from dora_mm.engine.hooks.replaced_clip_hook import ReplacedClipHook


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples, mode='loss'):
        return dict(loss=self.weight**2)


class Clips(torch.utils.data.Dataset):
    """Clips, some of which were replaced."""

    def __init__(self, num_replaced):
        self.num_replaced = num_replaced

    def __len__(self):
        return len(self.num_replaced)

    def __getitem__(self, index):
        meta = dict(num_replaced=self.num_replaced[index])
        return dict(
            inputs=torch.zeros(1), data_samples=DataSample(metainfo=meta))


def train(tmp_path, num_replaced, **hook):
    """Train 4 clips an iteration on clips in order; return the runner."""
    runner = Runner(
        Model(),
        str(tmp_path),
        train_dataloader=dict(
            dataset=Clips(num_replaced),
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=4,
            num_workers=0),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='dora_mm.ReplacedClipHook', **hook)],
        default_hooks=dict(checkpoint=None, logger=None),
        experiment_name=str(tmp_path.name))
    try:
        runner.train()
    except RuntimeError as error:
        runner.error = error
    return runner


def test_stops_at_once_above_the_share(tmp_path):
    replaced = [0] * 40 + [0, 1, 0, 0] * 10
    runner = train(tmp_path, replaced, max_share=0.1, min_clips=8, interval=2)
    # The two sound batches of the window come to 8 clips without a failure,
    # and the first window with a failure is that of batches 11 and 12.
    assert runner.iter == 11
    message = str(runner.error)
    assert '2 clips could not be decoded' in message
    assert 'last 8' in message and 'max_share=0.1' in message


def test_share_at_the_bound_is_allowed_and_logged(tmp_path):
    replaced = [0, 1, 0, 0, 0, 0, 0, 0] * 5 + [0, 2]
    runner = train(
        tmp_path, replaced, max_share=0.125, min_clips=8, interval=2)
    assert not hasattr(runner, 'error') and runner.iter == 11
    scalars = runner.message_hub.get_scalar('train/replaced_clips')
    # The last iteration is counted though no interval ends there.
    assert scalars.current() == 7


def test_few_clips_are_no_evidence(tmp_path):
    runner = train(tmp_path, [1, 1, 1, 1], min_clips=5, interval=1)
    assert not hasattr(runner, 'error')
    runner = train(tmp_path / 'b', [1, 1, 1, 1], min_clips=4, interval=1)
    assert '4 clips could not' in str(runner.error)


def test_numbers_of_all_ranks_are_added(tmp_path, monkeypatch):

    def other_rank_is_the_same(total):
        total *= 2

    monkeypatch.setattr('dora_mm.engine.hooks.replaced_clip_hook.all_reduce',
                        other_rank_is_the_same)
    runner = train(
        tmp_path, [1, 0, 0, 0], max_share=0.2, min_clips=8, interval=1)
    assert '2 clips could not be decoded' in str(runner.error)
    assert 'last 8' in str(runner.error)


def test_wrong_arguments():
    for wrong, message in ((dict(max_share=1.5), 'max_share.*1.5'),
                           (dict(min_clips=0), 'min_clips.*0'),
                           (dict(interval=0), 'interval.*0')):
        with pytest.raises(ValueError, match=message):
            ReplacedClipHook(**wrong)
