"""What the trials share: a video, a config, and runs that nobody disturbed."""
import random
import runpy
import tempfile
import time
from pathlib import Path

from forked import Forked
from judge import checkpoints, compare
from video_factory import write_video

from dora_mm import config_path

ROOT = Path(__file__).resolve().parents[2]
EPOCHS, EPOCH_ITERS = 2, 5
CONFIG = """
_base_ = [{base!r}]
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=48, num_layers=1, num_heads=4,
                  feedforward_channels=96),
        img_size=32, patch_size=8, drop_path_rate=0.2),
    neck=dict(in_channels=48, hidden_channels=32, out_channels=16,
              bottleneck_channels=16),
    loss=dict(out_channels=16),
    head=dict(num_iters=10),
    data_preprocessor=dict(
        global_views=dict(size=32), local_views=dict(size=16)))
train_dataloader = dict(
    batch_size={batch}, num_workers=1,
    dataset=dict(video={video!r}, clip_len=2, frame_interval=0.1,
                 start_stride=1))
train_cfg = dict(max_epochs=2)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(vis_backends=vis_backends)
default_hooks = dict(logger=dict(interval=1),
                     checkpoint=dict(interval=1, max_keep_ckpts={keep}))
"""


def tool(name):
    """The main function of a file of tools/."""
    return runpy.run_path(str(ROOT / 'tools' / name))['main']


class Stage:
    """The folder of a campaign.

    Args:
        folder (Path): Empty.
        seed (int): Of all choices.
    """

    def __init__(self, folder, seed):
        self.folder = folder
        self.rng = random.Random(seed)
        self.video = write_video(folder / 'v.mp4', 21)
        self.train = tool('train.py')
        self.configs = {}
        for name, batch, keep in (('all', 4, -1), ('one', 4, 2),
                                  ('two', 2, 2)):
            self.configs[name] = folder / f'{name}.py'
            self.configs[name].write_text(
                CONFIG.format(
                    base=config_path('dora/vit-t16_demo.py'),
                    batch=batch,
                    keep=keep,
                    video=self.video))
        self._wholes = {}

    def new(self):
        """A folder for one trial."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def start(self, work, *options, config='all', **kwargs):
        """Start training into a folder."""
        return Forked(self.train,
                      [self.configs[config], '--work-dir', work, *options],
                      work.with_suffix('.log'), **kwargs)

    def whole(self, name='all', *options, start=None):
        """Folder and seconds of the run with this config, made once."""
        key = (name, options)
        if key not in self._wholes:
            work = self.new()
            begun = time.monotonic()
            run = start(work) if start else self.start(
                work, *options, config=name)
            if run.finish():
                raise RuntimeError(run.output[-1000:])
            self._wholes[key] = work, time.monotonic() - begun
        return self._wholes[key]

    def resume(self, work, *options, config='all'):
        """Let a run go on to its end and compare it."""
        run = self.start(work, '--resume', *options, config=config)
        if run.finish():
            print(run.output[-1000:])
            return 'crashed'
        return compare(work, self.whole(config)[0])

    @property
    def checkpoint(self):
        """The last one of the undisturbed run, all of which are kept."""
        return checkpoints(self.whole()[0])[-1]
