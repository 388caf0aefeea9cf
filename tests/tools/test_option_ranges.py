"""Numbers of options are refused before anything is loaded."""
import pytest

from dora_mm.__main__ import COMMANDS, load_program
from dora_mm.checkpoints.conversion import TARGETS

FILES = dict(
    features=['a.png', 'a.pth'],
    visualize=['a.mp4', 'a.pth'],
    health=['a.pth', 'a.mp4'],
    embed=['a.png', 'a.pth'],
    browse=['dora/vit-t16_demo'],
    prepare=['a.mp4', '--out-dir', 'out'],
    audit=['a.mp4'],
    convert=['a.pth', 'b.pth'])


@pytest.mark.parametrize(('command', 'option', 'value', 'wanted'), [
    ('features', '--num-frames', '0', 'an integer of at least 1'),
    ('features', '--interval', '0', 'a number above 0'),
    ('features', '--start', '-1', 'a number of at least 0'),
    ('visualize', '--interval', 'nan', 'a number above 0'),
    ('visualize', '--num-clips', '1.5', 'an integer of at least 1'),
    ('health', '--num-clips', '0', 'an integer of at least 1'),
    ('embed', '--num-workers', '-2', 'an integer of at least 0'),
    ('embed', '--batch-size', '0', 'an integer of at least 1'),
    ('browse', '--num', '0', 'an integer of at least 1'),
    ('prepare', '--workers', '0', 'an integer of at least 1'),
    ('audit', '--workers', '-1', 'an integer of at least 1'),
])
def test_out_of_range(command, option, value, wanted, capsys):
    main = load_program(COMMANDS[command][0]).main
    with pytest.raises(SystemExit) as end:
        main([*FILES[command], option, value])
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(
        f'error: argument {option}: it must be {wanted}, but got {value}')


def test_layouts_are_those_of_the_conversion(capsys):
    parse_args = load_program(COMMANDS['convert'][0]).parse_args
    for layout in TARGETS:
        assert parse_args(['a.pth', 'b.pth', '--to', layout]).to == layout
    with pytest.raises(SystemExit):
        parse_args(['a.pth', 'b.pth', '--to', 'tim'])
    assert "invalid choice: 'tim' (choose from" in capsys.readouterr().err
