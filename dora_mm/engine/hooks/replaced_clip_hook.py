from typing import Optional

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from dora_mm.utils.counted import counted


@HOOKS.register_module()
class ReplacedClipHook(Hook):
    """Stop a run when too many clips cannot be decoded.

    The dataset replaces a clip that cannot be decoded and says so in
    ``num_replaced`` of the data sample. This hook adds these up over all
    ranks, logs the number as ``replaced_clips`` and compares their share with
    a bound.

    The share is that of the clips since the last comparison, so a disk that
    fails after many good epochs is noticed as soon as one that fails at once.

    Args:
        max_share (float): Largest share of replaced clips, in [0, 1].
            Defaults to 0.01.
        min_clips (int): Compare after so many clips of all ranks, so that one
            damaged place does not stop a run. Defaults to 1000.
        interval (int): Iterations between two sums over the ranks. Defaults
            to 50.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self,
                 max_share: float = 0.01,
                 min_clips: int = 1000,
                 interval: int = 50) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share must be in [0, 1], but got '
                             f'{max_share}: 0.01 is one clip in a hundred')
        if min_clips < 1 or interval < 1:
            raise ValueError('min_clips and interval must be at least 1, but '
                             f'got {min_clips} and {interval}: give numbers '
                             'of clips and of iterations')
        self.max_share = max_share
        self.min_clips = min_clips
        self.interval = interval
        self.num_replaced = 0
        # This rank's numbers since the last sum over the ranks.
        self._local = [0, 0]
        # All ranks' numbers since the last comparison.
        self._window = [0, 0]

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Count the replaced clips of a batch.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Number of the batch in the epoch.
            data_batch (dict): What the dataloader gave, with a list of
                ``data_samples``.
            outputs (dict): Not used.

        Raises:
            RuntimeError: If the share of replaced clips is above the bound.
        """
        samples = data_batch['data_samples']
        self._local[0] += sum(s.get('num_replaced', 0) for s in samples)
        self._local[1] += len(samples)
        if self.every_n_train_iters(runner, self.interval) or \
                self.is_last_train_iter(runner):
            self._compare(runner)

    def _compare(self, runner: Runner) -> None:
        total = torch.tensor(self._local)
        all_reduce(total)
        replaced, clips = total.tolist()
        self._local = [0, 0]
        self._window[0] += replaced
        self._window[1] += clips
        self.num_replaced += replaced
        runner.message_hub.update_scalar('train/replaced_clips',
                                         self.num_replaced)
        replaced, clips = self._window
        if clips < self.min_clips:
            return
        self._window = [0, 0]
        if replaced > self.max_share * clips:
            raise RuntimeError(
                f'{counted(replaced, "clip")} could not be decoded and had to '
                f'be replaced while the last {clips} were loaded, more than '
                f'max_share={self.max_share:g}: repair or leave out the files '
                'that the warnings in the log name, or raise max_share of '
                'ReplacedClipHook')
