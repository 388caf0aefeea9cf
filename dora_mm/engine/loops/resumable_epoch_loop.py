import logging
from typing import Union

from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from dora_mm.registry import LOOPS


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """Train by epochs, and resume in the middle of one.

    An epoch over an hours-long video takes hours, so checkpoints are written
    by iteration; mmengine's loop would start such an epoch over. The sampler
    is told how many of its samples were used, and no skipped clip is decoded.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): Its sampler must offer
            ``skip(num_samples)`` (:class:`ClipSampler`).
        max_epochs (int): Number of epochs.
        **kwargs: See :class:`mmengine.runner.EpochBasedTrainLoop`.

    Raises:
        TypeError: If the sampler cannot skip.
        ValueError: If there is less than one batch.
    """

    def __init__(self, runner: Runner, dataloader: Union[DataLoader, dict],
                 max_epochs: int, **kwargs) -> None:
        super().__init__(runner, dataloader, max_epochs, **kwargs)
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'skip'):
            raise TypeError(
                'sampler must have skip(num_samples), but got '
                f"{type(sampler).__name__}: use type='dora_mm.ClipSampler', "
                "or mmengine's EpochBasedTrainLoop, which resumes at epoch "
                'boundaries')
        if len(self.dataloader) == 0:
            raise ValueError(
                f"batch_size must be at most the {len(sampler)} clips of a "
                f"rank's epoch, but got {self.dataloader.batch_size}: lower "
                'it, or lower start_stride')

    def run_epoch(self) -> None:
        """Run an epoch, from where the checkpoint left off."""
        done = self._iter - self._epoch * len(self.dataloader)
        if not 0 <= done <= len(self.dataloader):
            print_log(
                f'Iteration {self._iter} is not in epoch {self._epoch} of '
                f'{len(self.dataloader)} iterations (other batch size, world '
                'size or videos than in the checkpoint?); this epoch starts '
                'at its beginning.',
                logger='current',
                level=logging.WARNING)
            done = 0
            self._iter = self._epoch * len(self.dataloader)
        # A resumed run takes over the checkpoint's seed after the sampler
        # was built.
        self.dataloader.sampler.seed = self.runner.seed
        self.dataloader.sampler.skip(done * self.dataloader.batch_size)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        for idx, data_batch in enumerate(self.dataloader, start=done):
            self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
