import time
from typing import Optional

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from dora_mm.utils.counted import counted
from ..step_log_processor import add_step_scalar, logging_interval


@HOOKS.register_module()
class PretrainMonitorHook(Hook):
    """Log the speed, and warn when the run goes wrong silently.

    Logs ``clips_per_sec`` over all ranks. With each line of the log it looks
    at the means since the last one. It warns when the representation seems to
    collapse (the student matches the teacher without any difference left
    between clips: KL divergence near 0), when object masks are empty or full
    and when the objects coincide, none of which the loss alone shows.

    Args:
        min_kl (float): KL divergence in nats, of the object term, below which
            it warns. Defaults to 0.01.
        max_overlap (float): Intersection over union of two objects' tracks,
            in [0, 1], above which it warns. Defaults to 0.95.
    """

    def __init__(self,
                 min_kl: float = 0.01,
                 max_overlap: float = 0.95) -> None:
        self.min_kl = min_kl
        self.max_overlap = max_overlap

    def before_train_epoch(self, runner: Runner) -> None:
        """Do not count the time between epochs."""
        self._last = time.perf_counter()

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Log and check."""
        now = time.perf_counter()
        clips = len(data_batch['inputs']) * get_world_size()
        add_step_scalar(runner, 'clips_per_sec', clips / (now - self._last))
        self._last = now
        interval = logging_interval(runner)
        if self.every_n_inner_iters(batch_idx, interval):
            self._check(runner, interval)

    def _check(self, runner: Runner, interval: int) -> None:

        def mean(name: str) -> Optional[float]:
            scalars = runner.message_hub.log_scalars
            if f'train/{name}' not in scalars:
                return None
            return float(scalars[f'train/{name}'].mean(interval))

        span = counted(interval, 'iteration')
        kl = mean('kl')
        if kl is not None and kl < self.min_kl:
            runner.logger.warning(
                f'kl {kl:.2e} over the last {span} is below '
                f'{self.min_kl}: the representation may have collapsed '
                f'(teacher_entropy {mean("teacher_entropy"):.3f}; 0 means one '
                'output for everything, log(P) a uniform one). Check that '
                'clips are shuffled, and lower teacher temperature or lr.')
        for name, word in (('empty_masks', 'empty'), ('full_masks', 'full')):
            share = mean(name)
            if share:
                runner.logger.warning(
                    f'{share:.2%} of the object masks in the last {span} '
                    f'are {word}: these objects teach nothing '
                    "about themselves. mode='map' of "
                    'MultiObjectMaskTransform never makes such masks unless '
                    'an attention map is constant.')
        overlap = mean('overlap')
        if overlap is not None and overlap > self.max_overlap:
            runner.logger.warning(
                f'overlap {overlap:.3f} over the last {span} '
                f'is above {self.max_overlap}: all objects are the same one. '
                'A smaller epsilon with more num_iters separates them '
                '(model.head.epsilon=0.005 model.head.num_iters=100), and so '
                "do normalize_tokens=True and plan_mass='patch' where they "
                'are not set.')
