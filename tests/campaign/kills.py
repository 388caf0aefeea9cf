"""Runs that are killed, go on, and must equal one that was not."""
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from forked import Forked, die_at_operation, wait_until, write_at_most
from judge import checkpoints, compare
from stage import tool
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from dora_mm.utils.run_main import run_main

SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def nothing():
    """Before a program that is not to die by itself."""


class Kills:
    """Trials; each returns what became of it.

    Args:
        stage (Stage): What they share.
    """

    def __init__(self, stage):
        self.stage, self.rng = stage, stage.rng
        self.prepare = tool('prepare_video.py')
        self._prepared = None
        self.trials = (self.run_killed, self.disk_full, self.worker_killed,
                       self.two_processes_killed, self.preparation_killed)

    def _some_death(self, folder, seconds, size):
        """How a process dies by itself, and after how long it is killed."""
        way = self.rng.randrange(3)
        if way == 0:
            return nothing, self.rng.random() * seconds
        if way == 1:
            number = self.rng.randrange(1, 150)
            how = self.rng.choice(SIGNALS)
            return die_at_operation(folder, number, how), 2 * seconds + 5
        return write_at_most(self.rng.randrange(size), True), 2 * seconds + 5

    def run_killed(self):
        """At some time, before a file operation, or in the middle of one.

        Twice in a row, with SIGKILL, SIGTERM or SIGXFSZ.
        """
        work = self.stage.new()
        seconds = self.stage.whole('one')[1]
        size = 2 * self.stage.checkpoint.stat().st_size
        for _ in range(2):
            before, wait = self._some_death(work, seconds, size)
            run = self.stage.start(
                work, '--resume', config='one', before=before)
            run.process.join(wait)
            run.kill(self.rng.choice(SIGNALS))
            run.finish()
        return self.stage.resume(work, config='one')

    def disk_full(self):
        """While a checkpoint is written; the error names it."""
        work = self.stage.new()
        size = self.stage.checkpoint.stat().st_size
        room = self.rng.randrange(size // 4, size * 5 // 4)
        # What workers pass on counts as a file.
        run = self.stage.start(
            work,
            '--cfg-options',
            'train_dataloader.num_workers=0',
            config='one',
            before=write_at_most(room, False))
        status = run.finish()
        if status != 0 and not (run.sentence and f'{work}/iter_' in
                                run.sentence):
            print(run.output[-1000:])
            return 'crashed'
        return self.stage.resume(work, config='one')

    def worker_killed(self):
        """A data worker; the run must end and say so."""
        work = self.stage.new()
        run = self.stage.start(work, config='one')
        number = self.rng.randrange(1, 8)
        if not wait_until(lambda: not run.is_running or any(
                path.stem == f'iter_{number}' for path in checkpoints(work))):
            return 'hung'
        for pid in run.children():
            try:
                os.kill(pid, self.rng.choice(SIGNALS))
            except ProcessLookupError:
                pass
        if run.finish() != 0 and run.sentence is None:
            print(run.output[-1000:])
            return 'crashed'
        return self.stage.resume(work, config='one')

    def _torchrun(self, work, *options):
        """Two ranks, forked by torchrun's own agent."""
        stage = self.stage
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=2,
            run_id=work.name,
            rdzv_backend='c10d',
            rdzv_endpoint='localhost:0',
            start_method='fork',
            max_restarts=0,  # as the program torchrun
            monitor_interval=0.1)
        argv = [
            'train.py', stage.configs['two'], '--work-dir', work, '--launcher',
            'pytorch', *options
        ]

        def rank():
            sys.argv = list(map(str, argv))
            (work / f'.rank{os.environ["RANK"]}').write_text(str(os.getpid()))
            run_main(stage.train)

        return Forked(lambda: elastic_launch(config, rank)() and None, [],
                      work.with_suffix('.log'))

    def two_processes_killed(self):
        """A rank, or torchrun: all ranks end, and the run goes on."""
        work = self.stage.new()
        whole, _ = self.stage.whole('two', start=self._torchrun)
        run = self._torchrun(work)
        number = self.rng.randrange(1, 8)
        if not wait_until(lambda: not run.is_running or any(
                path.stem == f'iter_{number}' for path in checkpoints(work))):
            return 'hung'
        ranks = [int(path.read_text()) for path in work.glob('.rank?')]
        target = self.rng.choice([run.pid, *ranks])
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.finish()
        if not wait_until(lambda: not any(map(is_alive, ranks)), 60):
            return 'hung'
        for path in work.glob('.rank?'):
            path.unlink()
        run = self._torchrun(work, '--resume')
        if run.finish():
            print(run.output[-1000:])
            return 'crashed'
        for path in work.glob('.rank?'):
            path.unlink()
        return compare(work, whole)

    def preparation_killed(self):
        """Of a video; the next makes the same file and manifest."""
        out = self.stage.new()
        if self._prepared is None:
            self._prepared = self._prepare(self.stage.new(), nothing, 60)
        expected = self._prepared
        for _ in range(2):
            before, wait = self._some_death(out, 2, 1 << 19)
            self._prepare(out, before, wait)
        found = self._prepare(out, nothing, 60)
        left = [path.name for path in out.iterdir()]
        if sorted(left) != ['v.mp4', 'v.mp4.json']:
            print(left)
            return 'left over'
        return 'equal' if found == expected else 'unequal'

    def _prepare(self, out, before, wait):
        run = Forked(
            self.prepare,
            [self.stage.video, '--out-dir', out, '--workers', '1'],
            out.with_suffix('.log'), before)
        run.process.join(wait)
        run.kill(self.rng.choice(SIGNALS))
        run.finish()
        return fingerprint(out)


def fingerprint(out):
    """Hash of the video and the manifest."""
    video, manifest = out / 'v.mp4', out / 'v.mp4.json'
    if not video.exists() or not manifest.exists():
        return None
    return hashlib.sha256(video.read_bytes()).hexdigest(), json.loads(
        manifest.read_text())


def is_alive(pid):
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
        return stat.rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False
