"""Epochs follow one another without a gap, with the clips of each alone."""
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader

from dora_mm.datasets import ClipSampler
from dora_mm.engine import ResumableEpochLoop

CLIPS, BATCH, EPOCHS = 23, 4, 3


class Echo(torch.utils.data.Dataset):

    def __len__(self):
        return CLIPS

    def __getitem__(self, request):
        return request


class Recorder(ResumableEpochLoop):
    """A loop whose step notes its batch and how far was read."""

    def run_iter(self, idx, data_batch):
        self.seen.append((self._epoch, idx, data_batch))
        self.read.append(self.dataloader.sampler.drawn)
        self._iter += 1


class CountingSampler(ClipSampler):
    drawn = 0

    def __iter__(self):
        for request in super().__iter__():
            self.drawn += 1
            yield request


def train(num_workers, first=0, drop_last=True):
    loader = DataLoader(
        Echo(),
        BATCH,
        sampler=CountingSampler(Echo(), seed=0),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        drop_last=drop_last,
        collate_fn=list)
    runner = SimpleNamespace(
        seed=5, call_hook=lambda name: None, model=torch.nn.Identity())
    loop = Recorder(runner, loader, EPOCHS)
    loop.seen, loop.read = [], []
    loop._iter, loop._epoch = first, first // len(loader)
    while loop._epoch < EPOCHS:
        loop.run_epoch()
    return loop


def expected(drop_last=True):
    """Batches of each epoch, from a sampler that knows one epoch."""
    batches = []
    for epoch in range(EPOCHS):
        sampler = ClipSampler(Echo(), seed=5)
        sampler.set_epoch(epoch)
        clips = list(sampler)
        batches += [(epoch, i, clips[BATCH * i:BATCH * i + BATCH])
                    for i in range(5 + (not drop_last))]
    return batches


@pytest.mark.parametrize('first', [0, 1, 5, 13])
@pytest.mark.parametrize('num_workers', [0, 2])
def test_clips_are_those_of_each_epoch(num_workers, first):
    loop = train(num_workers, first)
    assert loop.seen == expected()[first:]
    assert loop._batches is None


def test_the_next_epoch_is_read_in_the_last_steps():
    loop = train(2)
    # Two workers keep four batches ahead: at the last step of an epoch of
    # five, three of the next one are asked for.
    assert loop.read[4] > CLIPS
    assert loop.read[-1] == EPOCHS * 5 * BATCH
    assert max(loop.read[i] - BATCH * (i + 1)
               for i in range(len(loop.read))) <= 4 * BATCH


def test_a_last_batch_that_is_not_full_ends_the_reading():
    loop = train(2, drop_last=False)
    assert loop.seen == expected(drop_last=False)
