from collections import Counter

import numpy as np
import pytest
from torch.utils.data import DataLoader

from dora_mm.datasets import BlockClipSampler
from dora_mm.datasets.clip_index import ClipIndex, FileClips
from dora_mm.engine.loops.check_train_loader import check_train_loader


class Clips:
    """A data set of two files with a stretch left out."""

    def __init__(self, num=900):
        self.clip_index = ClipIndex([
            FileClips(num, (0, ), ((300, 340), )),
            FileClips(num // 3, (0, ))
        ], 1)

    def __len__(self):
        return len(self.clip_index)


def make(rank=0, world=1, num=900, **kwargs):
    settings = dict(
        batch_size=4, num_lanes=3, block_clips=40, active_blocks=4, seed=5)
    settings.update(kwargs)
    sampler = BlockClipSampler(Clips(num), **settings)
    sampler.rank, sampler.world_size = rank, world
    return sampler


@pytest.mark.parametrize('world', [1, 3])
def test_ranks_and_lanes_together_are_an_epoch(world):
    samplers = [make(rank, world) for rank in range(world)]
    requests = [list(sampler) for sampler in samplers]
    assert {len(r) for r in requests} == {len(samplers[0])}
    counts = Counter(r.index for rank in requests for r in rank)
    assert sorted(counts) == list(range(len(Clips())))
    # Only as many come twice as lanes and batches need to be full.
    assert max(counts.values()) <= 2
    assert sum(counts.values()) - len(counts) <= 3 * world * 4
    assert len({r.seed for rank in requests for r in rank}) == len(counts)


def test_order_is_a_function_of_seed_and_epoch():
    sampler = make()
    first = list(sampler)
    assert list(make()) == first
    assert [r.index for r in make(seed=6)] != [r.index for r in first]
    sampler.set_epoch(1)
    second = list(sampler)
    assert [r.index for r in second] != [r.index for r in first]
    # A clip gets another seed in another epoch.
    assert not {r.seed for r in second} & {r.seed for r in first}


def test_a_worker_needs_few_blocks_and_none_twice():
    """What a lane asks for, checked like a worker that serves it."""
    sampler = make()
    lanes = {slot: [] for slot in range(3)}
    for request in sampler:
        lanes[request.slot].append(request)
    for requests in lanes.values():
        held, started, upcoming = [], [], None
        for request in requests:
            blocks = list(request.blocks)
            assert 1 <= len(blocks) <= 4
            assert any(b <= request.index < e for b, e in blocks)
            new = [b for b in blocks if b not in held]
            # Announced while the one before was used.
            assert new == [] or held == [] or new == [upcoming]
            started += new
            held, upcoming = blocks, request.upcoming
        assert upcoming is None
        # The first and the last block may be shared with other lanes, or be
        # parts of one where the lanes come round.
        assert len(started) - len(set(started)) <= 1


def test_batches_are_mixed():
    sampler = make(num=9000, block_clips=300, active_blocks=4)
    requests = list(sampler)
    indices = np.array([r.index for r in requests]).reshape(-1, 4)
    # After the first blocks, a batch comes from several places.
    steady = indices[3 * 300 // 4:-3 * 300 // 4]
    places = np.array([len(set((row // 300).tolist())) for row in steady])
    # Four clips from four blocks; now and then two blocks are neighbours or
    # a batch sees the change from one to the next.
    assert 3.8 < places.mean() <= 4
    # Within a block, clips come in no order.
    for block in range(3, 20):
        own = indices[indices // 300 == block]
        assert abs(np.corrcoef(own, np.arange(len(own)))[0, 1]) < 0.3


def test_blocks_run_out_one_after_the_other():
    """Else a worker would stand still until several are decoded."""
    sampler = make(num=9000, block_clips=300, active_blocks=4, num_lanes=1)
    changes = []
    held = ()
    for number, request in enumerate(sampler):
        if request.blocks != held:
            changes.append(number)
            held = request.blocks
    gaps = np.diff(changes)
    assert np.median(gaps) > 40


@pytest.mark.parametrize('done', [0, 4, 12, 400])
def test_skip_resumes_in_the_epoch_and_only_there(done):
    full = list(make())
    sampler = make()
    sampler.skip(done)
    rest = list(sampler)

    def plain(requests):
        return [r._replace(slot=None) for r in requests]

    assert plain(rest) == plain(full[done:])
    # The dataloader gives its first batch to worker 0 again.
    assert [r.slot for r in rest[:16:4]] == [0, 1, 2, 0]
    assert list(sampler) == full


def test_span_joins_epochs_and_goes_on_dealing():
    one, two = make(), make()
    two.set_epoch(1)
    parts = list(one)[8:] + list(two)
    sampler = make()
    sampler.skip(8)
    sampler.span(2, 4)
    found = list(sampler)
    assert [r._replace(slot=None) for r in found
            ] == [r._replace(slot=None) for r in parts]
    # Batch after batch from worker 0 on, also over the end of the epoch.
    slots = [r.slot for r in found[::4]]
    assert slots == [i % 3 for i in range(len(slots))]


def test_fewer_clips_than_lanes():
    sampler = make(num=3, num_lanes=8, batch_size=2)
    indices = [r.index for r in sampler]
    assert len(indices) == len(sampler) == 16
    assert set(indices) == set(range(len(sampler.dataset)))


@pytest.mark.parametrize(
    'name', ['batch_size', 'num_lanes', 'block_clips', 'active_blocks'])
def test_wrong_arguments(name):
    with pytest.raises(ValueError, match=f'^{name} must .*0'):
        make(**{name: 0})


def test_a_loader_that_deals_otherwise_is_refused():
    """With one worker, or none, it trained, and no resume was exact."""
    sampler = make()

    def check(**settings):
        check_train_loader(
            DataLoader(sampler.dataset, sampler=sampler, **settings))

    check(batch_size=4)
    check(batch_size=4, num_workers=3)
    for workers in (0, 1):
        with pytest.raises(ValueError, match='batch_size must be .* 3, but'):
            check(batch_size=3, num_workers=workers)
    with pytest.raises(ValueError, match='num_lanes must be .* 2, but got 3'):
        check(batch_size=4, num_workers=2)
