from typing import Optional

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dora_mm.registry import HOOKS
from dora_mm.utils.pixels import resize_frames
from dora_mm.visualization import TrackVisualizer
from dora_mm.visualization.clip_tracks import (clip_settings, read_clips,
                                               track_clip)
from ..unwrap_model import unwrap_model


@HOOKS.register_module()
class TrackPanelHook(Hook):
    """Show during training what is tracked in some clips of a video.

    For each clip the visualizer gets ``tracks_NUMBER``, the whole clip with
    raw tracks, refined tracks and masks, and ``heads_NUMBER``, its first frame
    with the attention of every head beside them. Local files, TensorBoard and
    WandB are the visualizer's backends.

    Args:
        video (str): The file. Length and spacing of the clips are those that
            the run trains with.
        interval (int): Iterations from one time to the next. Defaults to
            1000.
        num_clips (int): Clips, one after the other; of a video that has fewer
            all. Defaults to 1.
        start (float): Second at which the first one begins. Defaults to 0.
        cell (int): Pixels of a picture in a panel. Defaults to 128.

    Raises:
        ValueError: If ``interval`` is not positive.
    """

    priority = 'LOW'

    def __init__(self,
                 video: str,
                 interval: int = 1000,
                 num_clips: int = 1,
                 start: float = 0.,
                 cell: int = 128) -> None:
        if interval < 1:
            raise ValueError('interval must be at least 1, but got '
                             f'{interval}: give the iterations from one panel '
                             'to the next')
        self.video = video
        self.interval = interval
        self.num_clips = num_clips
        self.start = start
        self.visualizer = TrackVisualizer(cell)

    def before_train(self, runner: Runner) -> None:
        """Read the clips, so that a wrong path shows at once.

        Raises:
            ValueError: If the model does not track or the video is too short.
        """
        model = unwrap_model(runner.model)
        if not hasattr(model, 'track'):
            raise ValueError('model must track objects, but got '
                             f'{type(model).__name__}: leave TrackPanelHook '
                             'out, or train DoRA')
        self.clips = []
        if is_main_process():
            # Small, as they are drawn and as the model makes them anyway: they
            # stay for the whole run.
            sides = (self.visualizer.cell,
                     model.data_preprocessor.global_views.size)
            for clip in read_clips(self.video, self.num_clips, self.start,
                                   **clip_settings(runner.cfg)):
                shown, seen = (
                    resize_frames(clip.frames, (side, side)) for side in sides)
                self.clips.append((clip._replace(frames=shown), seen))

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Draw every ``interval`` iterations."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        step = runner.iter + 1
        for number, (clip, seen) in enumerate(self.clips):
            tracks = track_clip(unwrap_model(runner.model), seen)
            times = [f'{time:.2f} s' for time in clip.seconds]
            title = f'iteration {step}'
            overview = self.visualizer.draw_overview(clip.frames, tracks,
                                                     times, title)
            first = {
                name: values if name == 'heads' else values[:1]
                for name, values in tracks.items()
            }
            heads, = self.visualizer.draw_panels(clip.frames[:1], first,
                                                 [f'{title}, {times[0]}'])
            runner.visualizer.add_image(f'tracks_{number}', overview, step)
            runner.visualizer.add_image(f'heads_{number}', heads, step)
