"""What is last on the screen."""
import pytest
from torch.distributed.elastic.multiprocessing.errors import (ChildFailedError,
                                                              ProcessFailure)

from dora_mm.utils.run_main import run_main


def test_reason_of_a_death_inside_a_bare_except_is_told():
    """mmengine formats the config of a checkpoint inside one.

    There the death of a data worker read "Failed to format the config file".
    """

    def main():
        try:
            raise RuntimeError('DataLoader worker 7 is killed')
        except:  # noqa: E722
            raise SyntaxError('Failed to format the config file')

    with pytest.raises(SystemExit) as info:
        run_main(main)
    assert info.value.code == (
        'error: DataLoader worker 7 is killed (then SyntaxError)')


def test_torchrun_ends_with_the_reason(tmp_path, monkeypatch):
    """It ended with "To enable traceback see: https://pytorch.org/...".

    The second rank fails because the first one did.
    """
    errors = (ValueError('x must be 1, but got 2: change it'),
              RuntimeError('[/pytorch/third_party/gloo/gloo/transport/tcp/'
                           'pair.cc:547] Connection closed by peer'))
    files = [tmp_path / f'{rank}.json' for rank in (1, 0)]
    said = []
    for file, error in zip(files, errors):

        def main():
            raise error

        monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(file))
        with pytest.raises(SystemExit) as info:
            run_main(main)
        said.append(info.value.code)
    assert said == [
        'error: x must be 1, but got 2: change it',
        'error: another rank has ended: see its error'
    ]
    failures = {
        rank: ProcessFailure(rank, 7, 1, str(file))
        for rank, file in zip((1, 0), files)
    }
    failures = dict(sorted(failures.items()))  # as torchrun lists them
    *_, last, line = str(ChildFailedError('train.py', failures)).splitlines()
    assert last.strip() == 'traceback : x must be 1, but got 2: change it'
    assert set(line) == {'='}
