import tracemalloc

import numpy as np
import pytest
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dora_mm.datasets import ClipSampler
from dora_mm.datasets.mix_seed import mix_seed


def make(length, rank=0, world=1, **kwargs):
    kwargs.setdefault('seed', 5)
    sampler = ClipSampler(range(length), **kwargs)
    sampler.rank, sampler.world_size = rank, world
    return sampler


@pytest.mark.parametrize('shuffle', [True, False])
def test_an_epoch_is_every_clip_once(shuffle):
    samples = list(make(1000, shuffle=shuffle))
    assert sorted(i for i, _ in samples) == list(range(1000))
    assert ([i for i, _ in samples] == list(range(1000))) != shuffle
    assert all(type(i) is int and type(s) is int for i, s in samples)
    assert all(0 <= s < 2**63 for _, s in samples)
    assert len({s for _, s in samples}) == 1000


def test_epochs_and_seeds_differ_and_repeat():
    sampler = make(200)
    epochs = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    assert epochs[0] == epochs[2] == list(make(200))
    assert [i for i, _ in epochs[0]] != [i for i, _ in epochs[1]]
    # The same clip gets another seed in another epoch or run.
    assert not {s for _, s in epochs[0]} & {s for _, s in epochs[1]}
    other = list(make(200, seed=6))
    assert not {s for _, s in epochs[0]} & {s for _, s in other}
    # The seed belongs to the clip, not to its place in the order.
    assert dict(make(200, shuffle=False)) == dict(epochs[0])


@pytest.mark.parametrize('num', [1, 30, 100, 130])
@pytest.mark.parametrize('world', [1, 3])
def test_an_epoch_of_so_many_samples(num, world):
    whole = list(make(100))
    ranks = [list(make(100, r, world, num_samples=num)) for r in range(world)]
    assert {len(r) for r in ranks} == {-(-num // world)}
    joint = [ranks[i % world][i // world] for i in range(num)]
    # What there are more than all, comes again from the beginning.
    assert joint == (whole + whole)[:num]
    part = make(100, num_samples=num, round_up=False)
    assert list(part) == joint and len(part) == num
    part.set_epoch(1)
    if num < 100:
        assert {i for i, _ in part} != {i for i, _ in joint}
    with pytest.raises(ValueError, match='num_samples must be .* got 0: '):
        make(100, num_samples=0)


@pytest.mark.parametrize('length', [48, 50])
@pytest.mark.parametrize('world', [2, 3])
def test_ranks_together_are_one_process(length, world):
    alone = list(make(length))
    ranks = [list(make(length, r, world)) for r in range(world)]
    assert {len(r) for r in ranks} == {-(-length // world)}
    assert {len(make(length, r, world))
            for r in range(world)} == {len(ranks[0])}
    batch = 4
    for first in range(0, len(ranks[0]), batch):
        joint = alone[first * world:(first + batch) * world]
        union = [s for r in ranks for s in r[first:first + batch]]
        # Samples beyond the end are the first ones again.
        extra = max(0, (first + batch) * world - length)
        extra = min(extra, len(ranks[0]) * world - length)
        assert sorted(union) == sorted(joint + alone[:extra])


def test_without_rounding_up_nothing_is_repeated():
    ranks = [list(make(50, r, 4, round_up=False)) for r in range(4)]
    assert [len(r) for r in ranks] == [13, 13, 12, 12]
    assert [len(make(50, r, 4, round_up=False))
            for r in range(4)] == [13, 13, 12, 12]
    assert sorted(i for r in ranks for i, _ in r) == list(range(50))


def test_more_ranks_than_clips():
    ranks = [list(make(2, r, 5)) for r in range(5)]
    assert [len(r) for r in ranks] == 5 * [1]
    assert {i for r in ranks for i, _ in r} == {0, 1}


@pytest.mark.parametrize('done', [0, 1, 17, 25])
def test_skip_resumes_in_the_epoch_and_only_there(done):
    full = list(make(50, 1, 2))
    sampler = make(50, 1, 2)
    sampler.skip(done)
    assert list(sampler) == full[done:]
    assert list(sampler) == full
    assert len(sampler) == 25


def test_span_joins_the_whole_batches_of_epochs():
    parts = []
    for epoch in (2, 3, 4):
        sampler = make(50, 1, 2)
        sampler.set_epoch(epoch)
        parts.append(list(sampler)[:24])  # of 25, in batches of 8
    sampler = make(50, 1, 2)
    sampler.set_epoch(2)
    sampler.skip(5)
    sampler.span(3, 8)
    assert list(sampler) == parts[0][5:] + parts[1] + parts[2]
    assert len(list(sampler)) == len(sampler) == 25  # only that one


def test_skip_through_a_dataloader_after_set_epoch():

    class Echo:

        def __len__(self):
            return 40

        def __getitem__(self, item):
            return item[0]

    sampler = ClipSampler(Echo(), seed=1)
    loader = DataLoader(Echo(), 4, sampler=sampler, collate_fn=list)
    sampler.set_epoch(3)
    full = list(loader)
    sampler.set_epoch(0)
    sampler.skip(12)
    sampler.set_epoch(3)
    assert list(loader) == full[3:]


def test_runner_passes_its_seed():
    cfg = dict(
        dataset=range(20),
        sampler=dict(type='dora_mm.ClipSampler'),
        batch_size=2,
        num_workers=0)
    loader = Runner.build_dataloader(cfg, seed=77)
    assert isinstance(loader.sampler, ClipSampler)
    assert loader.sampler.seed == 77
    drawn = Runner.build_dataloader(cfg).sampler.seed
    assert isinstance(drawn, int) and drawn >= 0


def test_memory_is_that_of_one_array():
    sampler = make(2_000_000)
    tracemalloc.start()
    iterator = iter(sampler)
    next(iterator)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A list of Python integers would take 72 MB.
    assert peak < 20_000_000


def test_wrong_arguments():
    with pytest.raises(ValueError, match='dataset.*empty'):
        ClipSampler([])
    with pytest.raises(ValueError, match='seed.*-1'):
        ClipSampler([1], seed=-1)
    for wrong in (-1, 26):
        with pytest.raises(ValueError, match=r'num_samples.*\[0, 25\]'):
            make(50, 1, 2).skip(wrong)


def test_mixed_seeds_look_random():
    seeds = np.array([mix_seed(0, 0, i) for i in range(4000)])
    bits = seeds[:, None] >> np.arange(63) & 1
    # Five standard deviations of a fair coin.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / 4000**0.5
    # From a clip to the next each bit flips half of the time.
    flips = (bits[1:] != bits[:-1]).mean(axis=0)
    assert np.abs(flips - 0.5).max() < 5 * 0.5 / 4000**0.5
    assert mix_seed(1, 2) != mix_seed(2, 1)
    # Runs are compared over years: the function must never change.
    assert mix_seed(1, 2, 3) == 7510213797696614745
