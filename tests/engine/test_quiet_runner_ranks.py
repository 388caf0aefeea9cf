"""What the ranks of a run must agree on."""
import multiprocessing

import pytest
import torch.distributed as dist
from mmengine.config import Config

from dora_mm.engine.quiet_runner import QuietRunner


class Loads(QuietRunner):
    """Only loads, and notes what."""

    def __init__(self, load_from, resume):
        self._load_from, self._resume = load_from, resume
        self._has_loaded = False
        self.cfg = Config(dict(load_from=load_from, resume=resume))
        self.loaded = None

    def resume(self, path):
        self.loaded = path


def load(rank, choice, store, queue):
    dist.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=2)
    runner = Loads(*choice)
    runner.load_or_resume()
    queue.put((rank, runner.loaded, runner.cfg.load_from, runner.cfg.resume))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.parametrize('first, second', [
    (('iter_6.pth', True), ('iter_3.pth', True)),
    (('iter_3.pth', True), (None, False)),
    ((None, False), ('iter_3.pth', True)),
])
def test_all_resume_from_the_checkpoint_of_the_first(tmp_path, first, second):
    """A rank that had looked before the last save went on from an older one,
    or, where its disk showed none yet, from the start."""
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    ranks = [
        context.Process(
            target=load, args=(rank, choice, tmp_path / 'store', queue))
        for rank, choice in enumerate((first, second))
    ]
    for rank in ranks:
        rank.start()
    found = [queue.get(timeout=120) for _ in ranks]
    for rank in ranks:
        rank.join()
    assert sorted(found) == [(rank, first[0], *first) for rank in (0, 1)]
