from typing import Iterator, Optional, Sized, Tuple

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from dora_mm.datasets.mix_seed import mix_seed
from dora_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClipSampler(Sampler):
    """Sampler of ``(index, seed)`` pairs that can continue inside an epoch.

    It differs from :class:`mmengine.dataset.DefaultSampler` in three points:

    - It yields a seed with each index: a fixed mix of run seed, epoch and
      index. Every random choice about a clip is a function of it, so a clip
      looks the same whatever the number of workers and ranks.
    - The order is one int64 array, 8 bytes a clip, where a list of Python
      integers takes 36.
    - :meth:`skip` resumes in the middle of an epoch, and :meth:`span` goes on
      over the ends of epochs.

    Rank ``r`` of ``w`` takes samples ``r, r + w, ...`` of one common order,
    so the ``i``-th batches of all ranks together are the ``i``-th batch of
    one process whose batch is ``w`` times as large.

    Args:
        dataset (Sized): The dataset; only its length is used.
        shuffle (bool): Draw a new order in every epoch. Defaults to True.
        seed (int, optional): Non-negative run seed, equal on all ranks.
            ``Runner.build_dataloader`` passes the run's seed. None draws one
            and shares it among the ranks. Defaults to None.
        round_up (bool): Repeat the first samples of the order so that every
            rank gets the same number. Defaults to True.
        num_samples (int, optional): Samples of an epoch of all ranks, so that
            schedules in epochs do not depend on the length of the videos:
            the first of the epoch's order, which begins again where there
            are more than the dataset has. None takes each sample once.
            Defaults to None.

    Raises:
        ValueError: If the dataset is empty, the seed is negative or
            ``num_samples`` is not positive.
    """

    def __init__(self,
                 dataset: Sized,
                 shuffle: bool = True,
                 seed: Optional[int] = None,
                 round_up: bool = True,
                 num_samples: Optional[int] = None) -> None:
        if len(dataset) == 0:
            raise ValueError('dataset must not be empty, but got no clip: '
                             'check the paths of the videos')
        if seed is None:
            seed = sync_random_seed()
        if seed < 0:
            raise ValueError(
                f'seed must be an integer of at least 0, but got {seed}')
        if num_samples is not None and num_samples < 1:
            raise ValueError(f'num_samples must be at least 1, but got '
                             f'{num_samples}: leave it out for all samples')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.num_samples = num_samples or len(dataset)
        self.shuffle = shuffle
        self.seed = int(seed)
        self.round_up = round_up
        self.epoch = 0
        self._num_skip, self._num_epochs, self._num_used = 0, 1, None

    def __len__(self) -> int:
        """Number of samples of this rank in a whole epoch."""
        total = self.num_samples
        extra = self.world_size - 1
        if not self.round_up:
            extra -= self.rank
        return (total + extra) // self.world_size

    def _rank_indices(self, epoch: int) -> np.ndarray:
        """Indices of this rank in an epoch, (len(self), ) int64."""
        total = len(self.dataset)
        if self.shuffle:
            rng = np.random.default_rng((self.seed, epoch))
            order = rng.permutation(total)
        else:
            order = np.arange(total)
        num_used = self.num_samples
        if self.round_up:
            num_used = len(self) * self.world_size
        if num_used > total:
            order = np.resize(order, num_used)
        return order[self.rank:num_used:self.world_size]

    def __iter__(self) -> Iterator[Tuple[int, int]]:
        """Iterate over ``(index, seed)`` of this rank's share of the epoch."""
        num_skip, num_epochs = self._num_skip, self._num_epochs
        num_used, self._num_used = self._num_used, None
        self._num_skip, self._num_epochs = 0, 1
        epochs = range(self.epoch, self.epoch + num_epochs)
        return self._samples(epochs, num_skip, num_used)

    def _samples(self, epochs: range, num_skip: int,
                 num_used: Optional[int]) -> Iterator[Tuple[int, int]]:
        """The first ``num_used`` of each epoch, ``num_skip`` left out once."""
        for epoch in epochs:
            for index in self._rank_indices(epoch)[num_skip:num_used]:
                yield int(index), mix_seed(self.seed, epoch, int(index))
            num_skip = 0

    def skip(self, num_samples: int) -> None:
        """Start the next iteration (only that one) further on.

        No clip is loaded for the samples left out.

        Args:
            num_samples (int): Samples of this rank that were already used in
                the epoch to be resumed, in [0, len(self)].

        Raises:
            ValueError: If ``num_samples`` is out of range.
        """
        if not 0 <= num_samples <= len(self):
            raise ValueError(
                f'num_samples must be in [0, {len(self)}], the samples of '
                f'this rank in an epoch, but got {num_samples}: resume with '
                'the batch size, world size and videos of the first run')
        self._num_skip = int(num_samples)

    def span(self, num_epochs: int, batch_size: int) -> None:
        """Let the next iteration (only that one) go on over several epochs.

        A dataloader then reads clips of the next epoch while those of the
        last batches are used, and no step waits at the start of an epoch.

        Args:
            num_epochs (int): From the present epoch on.
            batch_size (int): What does not fill a batch of an epoch is left
                out, as by the dataloader's ``drop_last``.
        """
        self._num_epochs = num_epochs
        self._num_used = len(self) // batch_size * batch_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, which gives order and seeds.

        Args:
            epoch (int): Epoch number, from 0.
        """
        self.epoch = int(epoch)
