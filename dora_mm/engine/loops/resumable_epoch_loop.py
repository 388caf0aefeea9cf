import logging
from typing import Any, Iterator, Optional, Union

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from dora_mm.registry import LOOPS
from dora_mm.utils.counted import counted
from .check_train_loader import check_train_loader


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Train by epochs, without a gap between them, and resume inside of one.

    An epoch over an hours-long video takes hours, so checkpoints are written
    by iteration; mmengine's loop would start such an epoch over. The sampler
    is told how many of its samples were used, and no skipped clip is decoded.
    With persistent workers the dataloader reads on over the end of an epoch.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Its sampler must offer
            ``skip(num_samples)`` and ``span(num_epochs, batch_size)``
            (:class:`ClipSampler`).
        max_epochs (int): Number of epochs.
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        TypeError: If the sampler cannot skip and span.
        ValueError: If there is less than one batch.
    """

    def __init__(self, runner: Runner, dataloader: Union[DataLoader, dict],
                 max_epochs: int, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'skip') or not hasattr(sampler, 'span'):
            raise TypeError(
                'train_dataloader.sampler must have skip and span, but '
                f'got {type(sampler).__name__}: use '
                "type='dora_mm.ClipSampler', or mmengine's "
                'EpochBasedTrainLoop, which resumes at epoch boundaries')
        check_train_loader(self.dataloader)
        self._batches: Optional[Iterator[Any]] = None

    def run_epoch(self) -> None:
        """Run an epoch, from where the checkpoint left off."""
        done = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            print_log(
                f'Iteration {self._iter} is not in epoch {self._epoch + 1} of '
                f'{counted(len(self.dataloader), "iteration")} (other batch '
                'size, world size or videos than in the checkpoint?); this '
                'epoch starts at its beginning.',
                logger='current',
                level=logging.WARNING)
            done = 0
            self._iter = self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if self._batches is None:
            self._batches = self._read(done)
        for idx in range(done, len(self.dataloader)):
            self.run_iter(idx, next(self._batches))
        if not self._reads_on or self._epoch + 1 == self._max_epochs:
            self._batches = None
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    @property
    def _reads_on(self) -> bool:
        """Whether the dataloader does not stop where an epoch ends."""
        loader = self.dataloader
        is_whole = len(loader.sampler) % loader.batch_size == 0
        return loader.persistent_workers and (loader.drop_last or is_whole)

    def _read(self, done: int) -> Iterator[Any]:
        """Batches from the epoch's batch ``done`` on."""
        sampler = self.dataloader.sampler
        batch_size = self.dataloader.batch_size
        # A resumed run takes over the checkpoint's seed after the sampler
        # was built.
        sampler.seed = self.runner.seed
        sampler.set_epoch(self._epoch)
        sampler.skip(done * batch_size)
        if self._reads_on:
            sampler.span(self._max_epochs - self._epoch, batch_size)
        return iter(self.dataloader)
