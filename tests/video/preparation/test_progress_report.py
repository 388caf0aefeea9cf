import sys
from types import SimpleNamespace

import pytest

from dora_mm.video.preparation import progress_report
from dora_mm.video.preparation.progress_report import ProgressReport


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.)
    monkeypatch.setattr(progress_report.time, 'monotonic',
                        lambda: now.seconds)
    return now


def preparations():
    return [
        SimpleNamespace(name='Venice', num_frames=None, state='waiting'),
        SimpleNamespace(name='Zurich', num_frames=3000, state='encoding')
    ]


def test_lines_in_a_log(capsys, clock):
    videos, counts = preparations(), [0, 0]
    with ProgressReport(videos, counts) as report:
        counts[1] = 1000
        clock.seconds += 29
        report.update()
        assert capsys.readouterr().err == ''
        clock.seconds += 31
        report.update()
        assert capsys.readouterr().err == (
            'Zurich: 1000 of 3000 frames, about 2 min to go\n')
        report.update()  # not again at once
    assert capsys.readouterr().err == ''


def test_bars_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True, raising=False)
    videos, counts = preparations(), [0, 0]
    with ProgressReport(videos, counts) as report:
        report.update()
        videos[0].num_frames, videos[0].state = 200, 'comparing'
        counts[:] = [200, 1500]
    shown = capsys.readouterr().err
    assert '200/200' in shown and 'comparing' in shown
    assert '1500/3000' in shown
