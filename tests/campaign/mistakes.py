"""What people mistype: one sentence that helps, and nothing is lost."""
from judge import checkpoints, poisoned, read
from mmengine.config import Config

VALUES = ('model.head.num_objects=0', 'model.loss.out_channels=3',
          'train_dataloader.batch_size=0', 'train_dataloader.batch_size=100',
          'train_dataloader.dataset.video=no.mp4', 'load_from=no.pth',
          'load_from=https://example.org/a.pth', 'model.type=Nothing',
          'optim_wrapper.optimizer.lr=1e30', 'train_cfg.max_epochs=-1',
          'train_dataloader.dataset.clip_len=0',
          'train_dataloader.dataset.clip_len=100',
          'train_dataloader.dataset.frame_interval=0',
          'model.backbone.patch_size=7', 'model.backbone.drop_path_rate=2',
          'train_dataloader.num_workers=-1', 'model.loss.center_momentum=nan',
          'optim_wrapper.optimizer.lr=text', 'model.backbone.arch=deit',
          'model.data_preprocessor.local_views.size=0',
          'custom_hooks=[dict(type=Nothing)]', 'randomness.seed=-1',
          'train_dataloader.dataset.pipeline=[]', 'default_scope=text',
          'train_dataloader.sampler=None', 'param_scheduler.0.warmup=-1',
          'train_dataloader.prefetch_factor=0', 'vis_backends=3',
          'default_hooks.checkpoint.interval=0', 'param_scheduler.0.begin=-1',
          'optim_wrapper.clip_grad.max_norm=-1', 'work_dir=',
          'optim_wrapper.optimizer.type=Gone', 'custom_hooks.0.type=Gone')


class Mistakes:
    """Trials; each returns what became of it.

    Args:
        stage (Stage): What they share.
    """

    def __init__(self, stage):
        self.stage, self.rng = stage, stage.rng
        cfg = Config.fromfile(stage.configs['all']).to_dict()
        names = ('model', 'train_dataloader', 'optim_wrapper', 'train_cfg',
                 'default_hooks')
        self._keys = sorted(
            key for name in names for key in dotted(name, cfg[name]))
        self.trials = (self.mistyped_key, self.wrong_value)

    def _train(self, option):
        work = self.stage.new()
        run = self.stage.start(work, '--cfg-options', option)
        status = run.finish()
        if any(poisoned(read(path)) for path in checkpoints(work)):
            return 'poisoned', run
        if status <= 0 or run.sentence is None:
            print(option, status, run.sentence, run.output[-1000:])
            return 'crashed', run
        return 'refused', run

    def mistyped_key(self):
        """A letter too many, too few, another or moved; the key is named."""
        key = self.rng.choice(self._keys)
        parts = key.split('.')
        number = self.rng.randrange(len(parts))
        word = parts[number]
        if len(word) < 4 or word == 'type':
            return self.mistyped_key()
        at = self.rng.randrange(1, len(word) - 1)
        parts[number] = self.rng.choice(
            (word[:at] + word[at] + word[at:], word[:at] + word[at + 1:],
             word[:at] + 'q' + word[at + 1:],
             word[:at] + word[at + 1] + word[at] + word[at + 2:]))
        if parts[number] == word:
            return self.mistyped_key()
        outcome, run = self._train('.'.join(parts) + '=1')
        if outcome == 'refused' and word not in run.sentence:
            print('.'.join(parts), run.sentence)
            return 'not named'
        return outcome

    def wrong_value(self):
        """Of a right key."""
        return self._train(self.rng.choice(VALUES))[0]


def dotted(name, value):
    """Keys of all settings below one."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from dotted(f'{name}.{key}', item)
    else:
        yield name
