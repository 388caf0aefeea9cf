from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from mmengine.config.utils import MODULE2PACKAGE

import dora_mm
from dora_mm import cfg
from dora_mm.utils import shipped_configs

NAME = 'dora/vit-s16_wt.py'


@pytest.mark.parametrize('name', [NAME, 'dora/vit-s16_wt'])
def test_config_path(name):
    path = dora_mm.config_path(name)
    assert Path(path).is_absolute()
    assert Path(path) == shipped_configs.config_root() / NAME


@pytest.mark.parametrize('name', ['dora/vit-s16', '', 'dora'])
def test_wrong_name_lists_the_right_ones(name):
    with pytest.raises(ValueError) as error:
        dora_mm.config_path(name)
    assert f'but got {name!r}: give one of' in str(error.value)
    assert NAME in str(error.value)
    assert '_base_' not in str(error.value)


def test_a_slip_in_a_name_is_found():
    with pytest.raises(ArgumentTypeError, match='mean dora/vit-t16_demo'):
        shipped_configs.find_config('dora/vit-t16_dmeo')
    for other in ('colour', 'work_dirs/vit-t16_demo/iter_9.pth', 'a.py'):
        assert shipped_configs.find_config(other) == other


def test_incomplete_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_configs, 'PACKAGE_DIR', tmp_path / 'dora_mm')
    with pytest.raises(FileNotFoundError, match='--force-reinstall'):
        shipped_configs.config_root()


@pytest.mark.parametrize(('argv', 'status'), [([NAME], 0), ([], 0),
                                              (['no'], 2), (['a', 'b'], 2)])
def test_program(argv, status, capsys):
    assert cfg.main(argv) == status
    printed = capsys.readouterr()
    # Only what was asked for goes to stdout, where $(...) takes it.
    if status:
        assert not printed.out and printed.err
    else:
        paths = [dora_mm.config_path(NAME)]
        wanted = paths if argv else shipped_configs.list_configs()
        assert printed.out.splitlines() == wanted


def test_users_own_entry_is_kept(monkeypatch):
    monkeypatch.setitem(MODULE2PACKAGE, 'dora_mm', 'my-fork')
    shipped_configs.register_config_packages()
    assert MODULE2PACKAGE['dora_mm'] == 'my-fork'
