"""A file that is there whole or not at all."""
import errno

import av
import pytest

from dora_mm.utils.atomic_file import atomic_file


def test_errors_name_the_file(tmp_path):
    """PyAV's cannot be given a name: that was an AttributeError instead."""
    path = tmp_path / 'a.mp4'
    path.write_text('old')
    with pytest.raises(OSError, match='No space left') as full:
        with atomic_file(path):
            av.error.err_check(-errno.ENOSPC)
    assert (full.value.errno, full.value.filename) == (28, str(path))
    with pytest.raises(FileNotFoundError, match='gone'):
        with atomic_file(path):
            av.open(str(tmp_path / 'gone'))
    with pytest.raises(OSError, match=r'^no number$'):
        with atomic_file(path):
            raise OSError('no number')
    assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']
    assert path.read_text() == 'old'
