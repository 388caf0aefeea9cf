from collections import deque
from itertools import islice
from typing import Deque, Iterator, List, NamedTuple, Optional, Sized

import numpy as np
from torch.utils.data import DataLoader

from dora_mm.datasets.clip_request import Block, ClipRequest
from dora_mm.datasets.mix_seed import mix_seed
from dora_mm.registry import DATA_SAMPLERS
from .clip_sampler import ClipSampler

# Keep the draws of a lane and of a block apart from each other.
_LANE, _BLOCK = 0x1A4E, 0xB10C


class _Piece(NamedTuple):
    """A part of a block: its clips in the order in which they are used."""
    block: Block
    clips: Deque[int]


@DATA_SAMPLERS.register_module()
class BlockClipSampler(ClipSampler):
    """Sampler for videos that are slow to read at random.

    A clip at a random place of a long 4K video costs some 500 decoded frames;
    a block of neighbouring clips costs two frames a clip. The clips are
    divided into blocks of neighbours, the blocks are shuffled, and each batch
    draws its clips from ``active_blocks`` blocks at different places, one of
    each as far as they go, which :class:`LoadClipFromBlock` holds in memory.

    An epoch is cut into ``num_lanes`` streams a rank: batch ``j`` comes from
    lane ``j % num_lanes``, so a worker keeps the blocks of its own lanes
    only. Each stream starts with one block and adds another one each time a
    share of a block is used up, until all are active. The order depends on
    seed, epoch, world size and the arguments, not on the number of workers.
    At the ends of the lanes a few clips come twice, so that all lanes and
    ranks have as many.

    How well it mixes is in docs/benchmarks.md; a prepared video with
    :class:`ClipSampler` mixes perfectly.

    Args:
        dataset (WalkingToursVideoDataset): Offers ``clip_index``.
        batch_size (int): That of the dataloader.
        num_lanes (int): A multiple of the dataloader's number of workers.
            Defaults to 8.
        block_clips (int): Most clips in a block. Defaults to 480, 8 seconds
            of start frames at 60 frames per second.
        active_blocks (int): Blocks that a lane draws from. Defaults to 8.
        seed (int, optional): See :class:`ClipSampler`. Defaults to None.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 dataset: Sized,
                 batch_size: int,
                 num_lanes: int = 8,
                 block_clips: int = 480,
                 active_blocks: int = 8,
                 seed: Optional[int] = None) -> None:
        super().__init__(dataset, seed=seed)
        values = dict(
            batch_size=batch_size,
            num_lanes=num_lanes,
            block_clips=block_clips,
            active_blocks=active_blocks)
        for name, value in values.items():
            if value < 1:
                raise ValueError(
                    f'{name} must be at least 1, but got {value}')
        self.batch_size = batch_size
        self.num_lanes = num_lanes
        self.block_clips = block_clips
        self.active_blocks = active_blocks
        self._blocks = dataset.clip_index.blocks(block_clips)

    def __len__(self) -> int:
        """Number of samples of this rank in a whole epoch."""
        return self.num_lanes * self._lane_length()

    def check_loader(self, loader: DataLoader) -> None:
        """Refuse a dataloader that would deal the batches out otherwise.

        Args:
            loader (DataLoader): Of this sampler.

        Raises:
            ValueError: If its batches are of another size, or a worker would
                get those of all lanes and decode every block.
        """
        if loader.batch_size != self.batch_size:
            raise ValueError(
                'train_dataloader.sampler.batch_size must be '
                f'train_dataloader.batch_size, {loader.batch_size}, but got '
                f'{self.batch_size}: set both')
        if loader.num_workers and self.num_lanes % loader.num_workers:
            raise ValueError(
                'train_dataloader.sampler.num_lanes must be a multiple of '
                f'train_dataloader.num_workers, {loader.num_workers}, but got '
                f'{self.num_lanes}: set both')

    def _samples(self, epochs: range, num_skip: int,
                 num_used: Optional[int]) -> Iterator[ClipRequest]:
        """Requests of this rank; every epoch consists of whole batches."""
        first = num_skip // self.batch_size
        # The dataloader deals the batches out from worker 0 on, and an epoch
        # has as many of all lanes.
        for epoch in epochs:
            lanes = [self._lane(epoch, lane) for lane in range(self.num_lanes)]
            for batch in range(len(self) // self.batch_size):
                requests = list(
                    islice(lanes[batch % self.num_lanes], self.batch_size))
                if epoch == epochs[0] and batch < first:
                    continue
                slot = (batch - first) % self.num_lanes
                for request in requests[num_skip % self.batch_size:]:
                    yield request._replace(slot=slot)
                num_skip = 0

    def _lane_length(self) -> int:
        """Clips of one lane: whole batches, the same number in all lanes."""
        num_lanes = self.num_lanes * self.world_size
        per_lane = -(-len(self.dataset) // num_lanes)
        return -(-per_lane // self.batch_size) * self.batch_size

    def _pieces(self, epoch: int, lane: int) -> Iterator[_Piece]:
        """Blocks of a lane, the first and the last cut where others begin."""
        rng = np.random.default_rng((self.seed, epoch, _BLOCK))
        blocks = self._blocks[rng.permutation(len(self._blocks))]
        ends = np.cumsum(blocks[:, 1] - blocks[:, 0])
        length = self._lane_length()
        begin = (self.rank * self.num_lanes + lane) * length
        stop = begin + length
        while begin < stop:
            place = begin % len(self.dataset)
            number = int(np.searchsorted(ends, place, side='right'))
            first, end = map(int, blocks[number])
            order = np.random.default_rng(
                (self.seed, epoch, _BLOCK, first)).permutation(end - first)
            skipped = place - (int(ends[number]) - (end - first))
            order = order[skipped:skipped + stop - begin]
            begin += len(order)
            yield _Piece((first, end), deque((first + order).tolist()))

    def _lane(self, epoch: int, lane: int) -> Iterator[ClipRequest]:
        """Clips of a lane in the order in which they are used."""
        rng = np.random.default_rng(
            (self.seed, epoch, _LANE, self.rank * self.num_lanes + lane))
        waiting = deque(self._pieces(epoch, lane))
        active: List[_Piece] = []
        fresh: List[_Piece] = []
        num_used = 0
        while waiting or active:
            # One block more each time a share of a block is used up: they
            # then run out one after the other.
            ramp = 1 + num_used * self.active_blocks // self.block_clips
            while waiting and len(active) < min(ramp, self.active_blocks):
                active.append(waiting.popleft())
            # A batch takes one clip of each block before it takes a second.
            if num_used % self.batch_size == 0 or not fresh:
                fresh = list(active)
            piece = fresh.pop(rng.integers(len(fresh)))
            index = piece.clips.popleft()
            yield ClipRequest(
                index,
                mix_seed(self.seed, epoch, index),
                blocks=tuple(p.block for p in active),
                upcoming=waiting[0].block if waiting else None)
            num_used += 1
            if not piece.clips:
                active.remove(piece)
