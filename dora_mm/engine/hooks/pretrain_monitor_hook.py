import time

from mmengine.dist import get_world_size
from mmengine.hooks import Hook

from dora_mm.registry import HOOKS


@HOOKS.register_module()
class PretrainMonitorHook(Hook):
    """Log the speed, and warn when the run goes wrong silently.

    Logs ``clips_per_sec`` over all ranks. Warns when the representation seems
    to collapse (the student matches the teacher without any difference left
    between clips: KL divergence near 0) and when object masks are empty or
    full, which the loss alone does not show.

    Args:
        interval (int): Iterations between two checks. Defaults to 50.
        min_kl (float): KL divergence in nats, of the object term, below which
            it warns. Defaults to 0.01.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    def __init__(self, interval: int = 50, min_kl: float = 0.01) -> None:
        if interval < 1:
            raise ValueError(f'interval must be >= 1, but got {interval}.')
        self.interval = interval
        self.min_kl = min_kl

    def before_train_epoch(self, runner) -> None:
        """Do not count the time between epochs."""
        self._last = time.perf_counter()

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Log and check."""
        now = time.perf_counter()
        clips = len(data_batch['inputs']) * get_world_size()
        runner.message_hub.update_scalar('train/clips_per_sec',
                                         clips / (now - self._last))
        self._last = now
        if self.every_n_train_iters(runner, self.interval):
            self._check(runner)

    def _check(self, runner) -> None:

        def mean(name):
            scalars = runner.message_hub.log_scalars
            if f'train/{name}' not in scalars:
                return None
            return float(scalars[f'train/{name}'].mean(self.interval))

        kl = mean('kl')
        if kl is not None and kl < self.min_kl:
            runner.logger.warning(
                f'kl {kl:.2e} over the last {self.interval} iterations is '
                f'below {self.min_kl}: the representation may have collapsed '
                f'(teacher_entropy {mean("teacher_entropy"):.3f}; 0 means one '
                'output for everything, log(P) a uniform one). Check that '
                'clips are shuffled, and lower teacher temperature or lr.')
        for name in ('empty_masks', 'full_masks'):
            share = mean(name)
            if share:
                runner.logger.warning(
                    f'{share:.2%} of the object masks in the last '
                    f'{self.interval} iterations are {name[:-6]}: these '
                    "objects teach nothing about themselves. mode='map' of "
                    'MultiObjectMaskTransform never makes such masks unless '
                    'an attention map is constant.')
