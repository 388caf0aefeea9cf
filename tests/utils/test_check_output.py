"""Whether outputs can be written is asked by several processes at once."""
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from dora_mm.utils.check_output import check_output_folder


def test_askers_do_not_remove_what_others_are_trying(tmp_path):
    """One rank removed the folder in which another was going to write."""
    folder = tmp_path / 'new' / 'run'
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(check_output_folder, '--work-dir', folder)
            for _ in range(200)
        ]
    for future in asked:
        future.result()
    assert os.listdir(tmp_path) == []


def test_a_folder_of_another_process_stays(tmp_path):
    (tmp_path / 'new').mkdir()
    check_output_folder('--work-dir', tmp_path / 'new' / 'run')
    assert os.listdir(tmp_path) == ['new'] and not os.listdir(tmp_path / 'new')


@pytest.mark.parametrize('path, reason', [
    ('file', 'must be a folder.*a part of the path is a file'),
    ('file/run', 'must be a folder.*a part of the path is a file'),
    ('loose', 'must be a folder.*a part of the path is a file'),
    ('n' * 300, 'can be written to.*File name too long'),
    ('new/' + 'n' * 300 + '/run', 'can be written to.*File name too long'),
    ('/proc/new/run', 'can be written to'),
])
def test_places_that_cannot_be_written_to_are_refused(tmp_path, path, reason):
    (tmp_path / 'file').touch()
    (tmp_path / 'loose').symlink_to('missing')
    with pytest.raises(ValueError, match=reason) as refused:
        check_output_folder('--out-dir', tmp_path / path)
    assert f'got {tmp_path / path} (' in str(refused.value)
    assert sorted(os.listdir(tmp_path)) == ['file', 'loose']
