"""The style of messages."""
import ast

import pytest
from clean_python import ROOT

from dora_mm.utils.counted import counted


@pytest.mark.parametrize(('number', 'noun', 'phrase'), [
    (0, 'clip', '0 clips'),
    (1, 'clip', '1 clip'),
    (2, 'shot cut', '2 shot cuts'),
    (1, 'entry', '1 entry'),
    (3, 'entry', '3 entries'),
])
def test_counted(number, noun, phrase):
    assert counted(number, noun) == phrase


def text_of(node):
    """The words of a string in the source, values left out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.FormattedValue):
        return '{}'
    parts = getattr(node, 'values', None) or [
        getattr(node, side, None) for side in ('left', 'right')
    ]
    return ''.join(text_of(part) for part in parts if part is not None)


def test_errors_have_neither_backticks_nor_a_full_stop():
    """They are one sentence behind 'error: '."""
    paths = [
        path for room in ('dora_mm', 'tools', 'benchmarks')
        for path in (ROOT / room).rglob('*.py') if '.mim' not in path.parts
    ]
    found = [(path.name, text_of(node.exc.args[0])) for path in paths
             for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Raise) and isinstance(
                 node.exc, ast.Call) and node.exc.args]
    assert len(found) > 300
    assert not [(name, text) for name, text in found
                if '`' in text or text.endswith('.')]
