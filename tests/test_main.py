"""python -m dora_mm, and how every program ends."""
import sys

import pytest
from clean_python import ROOT, check_run, run

from dora_mm import __main__ as program
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import config_path, find_config

HELP_IMPORTS = """
import sys
from dora_mm import __main__ as program
for name, (place, _) in program.COMMANDS.items():
    if name == 'replay':  # its hook is a class of mmengine's
        continue
    try:
        program.load_program(place).main(['--help'])
    except SystemExit as end:
        assert not end.code, (name, end.code)
    heavy = [m for m in ('torch', 'mmpretrain', 'mmcv') if m in sys.modules]
    assert not heavy, (name, heavy)
"""


def test_help_of_every_command_needs_no_torch(tmp_path):
    """Which takes seconds to import; help must come at once."""
    out = check_run(sys.executable, '-c', HELP_IMPORTS, cwd=tmp_path)
    assert out.count('usage: ') == len(program.COMMANDS) - 1


def test_every_command_is_there():
    for name, (place, what) in program.COMMANDS.items():
        assert what in program.usage() and name in program.usage()
        assert callable(program.load_program(place).main)


def test_unknown_command_names_the_nearest(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['dora_mm', 'tarin'])
    with pytest.raises(ValueError, match='got tarin: try dora-mm train'):
        program.main()


@pytest.mark.parametrize(('error', 'ending'), [
    (ValueError('P must be 8'), 'error: P must be 8'),
    (ImportError('no mmdet'), 'error: no mmdet'),
    (OSError(28, 'No space left', 'a.pth'),
     "error: [Errno 28] No space left: 'a.pth'"),
    (ValueError('Caught ValueError in worker 0.\nTraceback ...\n'
                'ValueError: not a mask'), 'error: not a mask'),
    (KeyError('x'), "error: KeyError: 'x' (--traceback shows where)"),
    (RuntimeError(), 'error: RuntimeError'),
])
def test_a_mistake_is_a_sentence(monkeypatch, error, ending):

    def main():
        raise error

    monkeypatch.setattr(sys, 'argv', ['tool'])
    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert end.value.code == ending
    monkeypatch.setattr(sys, 'argv', ['tool', '--traceback'])
    with pytest.raises(type(error)):
        run_main(main)


def test_status_is_kept(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['tool'])
    with pytest.raises(SystemExit) as end:
        run_main(lambda: 3)
    assert end.value.code == 3


def test_short_names(tmp_path, monkeypatch):
    assert find_config('dora/vit-s16_wt') == config_path('dora/vit-s16_wt.py')
    assert find_config('colour') == 'colour'
    # a file of the user's own goes first
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'dora').mkdir()
    (tmp_path / 'dora/vit-s16_wt').touch()
    assert find_config('dora/vit-s16_wt') == 'dora/vit-s16_wt'


def test_a_start_says_nothing_of_its_own(tmp_path):
    """As a program, by a short name, up to the first mistake."""
    done = run(
        sys.executable,
        '-m',
        'dora_mm',
        'visualize',
        'no.mp4',
        'dora/vit-t16_demo',
        cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ''
    assert done.stderr == ('error: video must be a file, but no.mp4 is not a '
                           'file: check the path\n')


def test_python_says_nothing_of_its_own(tmp_path):
    """mmpretrain printed a missing OneDL, mmcv-lite warned of an operator."""
    code = ('import dora_mm.apis, mmpretrain.datasets; '
            'from mmengine import print_log; print_log("heard")')
    done = run(sys.executable, '-c', code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, 'heard\n', '')


def test_tools_end_by_run_main():
    for path in (ROOT / 'tools').rglob('*.py'):
        assert path.read_text().endswith('    run_main(main)\n'), path
