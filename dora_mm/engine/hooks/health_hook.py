import math
from typing import Optional, Sequence, Union

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.models.evaluators.model_health import model_health
from dora_mm.registry import HOOKS
from dora_mm.utils.counted import counted
from dora_mm.utils.pixels import resize_frames
from dora_mm.visualization.clip_tracks import clip_settings, read_clips
from ..unwrap_model import unwrap_model
from .teacher_ema_hook import TeacherEMAHook

# Above this share of its random start a teacher has seen little of the run.
_MOST_START = 0.05


@HOOKS.register_module()
class HealthHook(Hook):
    """Watch without labels whether a representation grows or collapses.

    Logs the figures of :func:`model_health` as ``health/NAME`` and hands them
    to the visualizer, and ``health/teacher_start``, the share of its random
    start that the teacher still has: the product of all momenta. Before
    training it warns if more than 5 % of it would be left at the end.
    docs/evaluation.md says what is healthy. Training goes on as it would have
    without.

    Args:
        video (str | Sequence[str]): Files. Length and spacing of the clips
            are those that the run trains with; clips of a prepared video
            reach over no shot cut, unless those of the run do.
        interval (int): Iterations from one time to the next. The last
            iteration counts as well. Defaults to 1000.
        num_clips (int): Clips of each video, one after the other; of a video
            that has fewer all. Defaults to 16.
        start (float): Second at which the first one begins. Defaults to 0.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    priority = 'LOW'

    def __init__(self,
                 video: Union[str, Sequence[str]],
                 interval: int = 1000,
                 num_clips: int = 16,
                 start: float = 0.) -> None:
        if interval < 1:
            raise ValueError('interval must be at least 1, but got '
                             f'{interval}: give the iterations from one '
                             'measurement to the next')
        self.videos = [video] if isinstance(video, str) else list(video)
        self.interval = interval
        self.num_clips = num_clips
        self.start = start

    def before_train(self, runner: Runner) -> None:
        """Read the clips, so that a wrong path shows at once."""
        settings = clip_settings(runner.cfg)
        views = unwrap_model(runner.model).data_preprocessor.global_views
        # Small, as the model makes them anyway: they stay for the whole run.
        self.clips = [
            resize_frames(clip.frames, (views.size, views.size))
            for video in self.videos
            for clip in read_clips(video, self.num_clips, self.start,
                                   **settings, as_trained=True)
        ]
        kept = self._teacher_start(runner, runner.max_iters)
        if kept is not None and kept > _MOST_START:
            runner.logger.warning(
                'teacher_start: at the end of '
                f'{counted(runner.max_iters, "iteration")} the teacher will '
                f'still be its random start by {kept:.1%}. Lower momentum of '
                'TeacherEMAHook, or train longer: 1 - momentum over all steps '
                'should add up to 6')

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Measure every ``interval`` iterations and after the last one."""
        if not (self.every_n_train_iters(runner, self.interval)
                or self.is_last_train_iter(runner)):
            return
        figures = model_health(unwrap_model(runner.model), self.clips)
        kept = self._teacher_start(runner, runner.iter + 1)
        if kept is not None:
            figures['teacher_start'] = kept
        runner.logger.info('  '.join(f'health/{name}: {value:.4g}'
                                     for name, value in figures.items()))
        runner.visualizer.add_scalars(
            {
                f'health/{name}': value
                for name, value in figures.items() if math.isfinite(value)
            },
            step=runner.iter + 1)

    @staticmethod
    def _teacher_start(runner: Runner, num_iters: int) -> Optional[float]:
        """The product of the momenta of the first iterations."""
        for hook in runner.hooks:
            if isinstance(hook, TeacherEMAHook):
                wrapper = runner.cfg.get('optim_wrapper', {})
                counts = wrapper.get('accumulative_counts', 1)
                return hook.start_share(num_iters, runner.max_iters, counts)
        return None
