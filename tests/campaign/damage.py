"""Files of a run or beside a video that are damaged, or of another plan."""
import shutil

import numpy as np
import test_damaged_side_files as side_files
from forked import Forked, die_at_operation
from judge import checkpoints, poisoned, read, same, scalars
from kills import fingerprint
from stage import EPOCH_ITERS, tool

from dora_mm.checkpoints.plain_checkpoints import load_plain
from dora_mm.video.readers import load_video_index as index
from dora_mm.video.video_manifest import VideoManifest

PLANS = (('train_cfg.max_epochs=3', 4), ('optim_wrapper.optimizer.lr=5e-4', 4),
         ('train_dataloader.batch_size=2', 2),
         ('train_dataloader.batch_size=10', 10),
         ('param_scheduler.0.warmup=0', 4))
OTHERS = ('model.loss.out_channels=32 model.neck.out_channels=32',
          'model.backbone.arch.num_layers=2', 'model.head.num_objects=3',
          'optim_wrapper.optimizer.type=SGD',
          'model.backbone.arch.embed_dims=96 model.neck.in_channels=96',
          'train_dataloader.dataset.start_stride=2',
          'train_cfg.max_epochs=1 param_scheduler.0.warmup=0')


class Damage:
    """Trials; each returns what became of it.

    Args:
        stage (Stage): What they share.
    """

    def __init__(self, stage):
        self.stage, self.rng = stage, stage.rng
        self._parts = None
        self.trials = (self.folder_damaged, self.checkpoint_damaged,
                       self.index_damaged, self.manifest_damaged,
                       self.part_damaged, self.other_plan, self.other_run)

    def _mutate(self, path):
        content = path.read_bytes()
        if content:
            path.write_bytes(side_files.mutate(content, self.rng))

    def _folder_at(self, number):
        """A copy of the undisturbed run as it was after some iterations."""
        work = self.stage.new()
        whole = self.stage.whole()[0]
        for k in range(max(1, number - 2), number + 1):
            shutil.copy(whole / f'iter_{k}.pth', work)
        (work / 'last_checkpoint').write_text(f'iter_{number}.pth')
        return work

    def folder_damaged(self):
        """The newest checkpoint, or what lies beside it."""
        number = self.rng.randrange(3, 2 * EPOCH_ITERS)
        work = self._folder_at(number)
        (work / '.run.json').write_text('{"host": "a", "pid": 1, "since": '
                                        '"now", "beat": 1e9, "born": "7"}')
        (work / f'.iter_{number + 1}.01234567.pth').write_bytes(b'half')
        for name in ('last_checkpoint', '.run.json', f'iter_{number}.pth'):
            if self.rng.random() < 0.6:
                self._mutate(work / name)
        return self.stage.resume(work)

    def checkpoint_damaged(self):
        """Read by what reads all checkpoints for a run."""
        path = self.stage.folder / 'damaged.pth'
        shutil.copy(self.stage.checkpoint, path)
        self._mutate(path)
        try:
            found = load_plain(path)
        except ValueError as error:
            return 'refused' if str(path) in str(error) else 'crashed'
        expected = read(self.stage.checkpoint)
        return 'equal' if all(
            same(found[part], expected[part]) for part in
            ('state_dict', 'optimizer', 'param_schedulers')) else 'unequal'

    def index_damaged(self):
        """The index of a video; what comes is what a scan says."""
        video = self.stage.video
        good = vars(index.load_video_index(video))
        self._mutate(index.index_file(video))
        index._loaded.clear()  # as in another process
        found = vars(index.load_video_index(video))
        return 'made anew' if all(
            np.array_equal(found[name], value)
            for name, value in good.items()) else 'unequal'

    def _prepare(self, out, before=lambda: None):
        run = Forked(
            tool('prepare_video.py'),
            [self.stage.video, '--out-dir', out, '--workers', '1'],
            out.with_suffix('.log'), before)
        return run, run.finish()

    def _half_prepared(self):
        """A folder with finished parts, and what it should become."""
        if self._parts is None:
            whole = self.stage.new()
            self._prepare(whole)
            number = 1
            while True:  # until parts are there and the result is not
                out = self.stage.new()
                self._prepare(out, die_at_operation(out, number))
                parts = list(out.glob('.*/*.npz'))
                if parts or (out / 'v.mp4').exists():
                    break
                number += 1
            if not parts:
                raise RuntimeError('no parts were left')
            self._parts = out, whole
        return self._parts

    def part_damaged(self):
        """A file of the parts of a preparation that was killed."""
        half, whole = self._half_prepared()
        out = self.stage.new()
        shutil.copytree(half, out, dirs_exist_ok=True)
        files = sorted(p for p in out.glob('.*/*') if p.is_file())
        self._mutate(self.rng.choice(files))
        run, status = self._prepare(out)
        if status:
            print(run.output[-1000:])
            return 'crashed'
        return 'equal' if fingerprint(out) == fingerprint(
            whole) else 'unequal'

    def manifest_damaged(self):
        """Of a prepared video, read as training does."""
        whole = self._half_prepared()[1]
        good = VideoManifest.load(whole / 'v.mp4')
        file = whole / 'v.mp4.json'
        content = file.read_bytes()
        self._mutate(file)
        try:
            found = VideoManifest.load(whole / 'v.mp4')
            return 'equal' if found == good else 'unequal'
        except ValueError as error:
            return 'refused' if str(file) in str(error) else 'crashed'
        finally:
            file.write_bytes(content)

    def other_plan(self):
        """Rates are those of a run with that plan; clips go on."""
        option, batch = self.rng.choice(PLANS)
        plan = self.stage.whole('all', '--cfg-options', option)[0]
        number = self.rng.randrange(1, 2 * EPOCH_ITERS)
        work = self._folder_at(number)
        run = self.stage.start(work, '--resume', '--cfg-options', option)
        if run.finish():
            print(run.output[-1000:])
            return 'crashed'
        # Of a plan with a larger batch the last one has a smaller number.
        end = work / checkpoints(plan)[-1].name
        if not end.exists():
            return 'unequal'
        if poisoned(read(end)):
            return 'poisoned'
        expected, found = scalars(plan, 'lr'), scalars(work, 'lr')
        clips = number // EPOCH_ITERS * 20 + number % EPOCH_ITERS * 4
        first = clips // 20 * (20 // batch) + clips % 20 // batch
        right = min(found, default=first + 1) == first + 1 and all(
            found[step] == expected[step]
            for step in found) and 'resume: ' in run.output
        if not right:
            print(option, number, first, expected, found)
        return 'converted' if right else 'unequal'

    def other_run(self):
        """Another model, other data: nothing is trained."""
        options = self.rng.choice(OTHERS)
        number = self.rng.randrange(EPOCH_ITERS + 1, 2 * EPOCH_ITERS)
        work = self._folder_at(number)
        before = sorted(work.glob('*.pth'))
        run = self.stage.start(work, '--resume', '--cfg-options',
                               *options.split())
        status = run.finish()
        if status == 0 or sorted(work.glob('*.pth')) != before:
            return 'unequal'
        if not run.sentence or 'must fit' not in run.output or (
                'present' not in run.output):
            print(options, number, status, run.output[-1000:])
            return 'crashed'
        return 'refused'
