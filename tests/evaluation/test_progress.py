from dora_mm.evaluation import progress as module


def test_lines_where_there_is_no_terminal(monkeypatch, capsys):
    """Twenty seconds to start and for each of ten items."""
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(clock) - 20)
    assert list(module.progress(range(10), 'test')) == list(range(10))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith('test: 1 of 10, about 6.0 minutes')
    assert lines[-1].startswith('test: 9 of 10, about 0.4 minutes')
