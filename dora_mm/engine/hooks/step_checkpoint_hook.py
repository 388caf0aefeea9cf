from pathlib import Path
from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from dora_mm.utils.write_text import write_text


@HOOKS.register_module()
class StepCheckpointHook(CheckpointHook):
    """mmengine's hook, for checkpoints that resume exactly.

    A checkpoint that is due between two steps of the optimiser, under
    gradient accumulation, waits for the next step: the gradients summed so
    far would be lost. The oldest checkpoint is removed after the new one is
    written. ``last_checkpoint`` holds the name of the file, so a folder may be
    moved, and is old or new, never half written.

    Its arguments are those of :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        ValueError: Before training, if checkpoints of epochs would be written
            between two steps of the optimiser.
    """

    _is_waiting = False

    def before_train(self, runner: Runner) -> None:
        """Refuse what cannot be resumed exactly, see the class.

        Args:
            runner (Runner): The runner.
        """
        super().before_train(runner)
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        length = len(runner.train_dataloader)
        if self.by_epoch and length * self.interval % counts and (
                0 < self.interval < runner.max_epochs):
            raise ValueError(
                'default_hooks.checkpoint.by_epoch must be False where epochs '
                'do not end with a step of the optimiser, but got True with '
                f'epochs of {length} batches and accumulative_counts={counts}:'
                ' set it, and interval in iterations')

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Save if a checkpoint is due and the optimiser has stepped.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Number of the batch in the epoch.
            data_batch (dict, optional): Not used.
            outputs (dict, optional): Not used.
        """
        if self.by_epoch:
            return
        self._is_waiting |= self.every_n_train_iters(
            runner, self.interval, self.save_begin) or (
                self.save_last and self.is_last_train_iter(runner))
        if self._is_waiting and runner.optim_wrapper.should_update():
            self._is_waiting = False
            runner.logger.info(
                f'Saving checkpoint at {runner.iter + 1} iterations')
            self._save_checkpoint(runner)

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        kept, stale = [], []
        if self.max_keep_ckpts > 0:
            kept = [s for s in self.keep_ckpt_ids if s != step] + [step]
            stale = kept[:-self.max_keep_ckpts]
            kept = kept[-self.max_keep_ckpts:]
            self.keep_ckpt_ids = type(self.keep_ckpt_ids)(
                kept, self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if not is_main_process():
            return
        write_text(Path(runner.work_dir) / 'last_checkpoint', name)
        for old in stale:
            path = self.file_backend.join_path(self.out_dir,
                                               self.filename_tmpl.format(old))
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
