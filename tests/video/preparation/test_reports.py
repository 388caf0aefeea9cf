import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from video_factory import HEIGHT, WIDTH

from dora_mm.video.preparation import reports
from dora_mm.video.preparation.reports import ProgressReport, summary_table
from dora_mm.video.preparation.video_preparation import PreparedVideo


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.)
    monkeypatch.setattr(reports.time, 'monotonic', lambda: now.seconds)
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


def test_an_estimate_leaves_out_what_was_waited(capsys, clock):
    """An hour for another video made one of days of the first frames."""
    videos, counts = preparations()[1:], [0]
    videos[0].state = 'waiting'
    with ProgressReport(videos, counts) as report:
        clock.seconds += 3600
        videos[0].state = 'encoding'
        report.update()
        clock.seconds += 30
        for counts[0], end in ((10, ''), (1500, ', about 60 s to go')):
            report.update()
            assert capsys.readouterr().err.endswith(
                f'{counts[0]} of 3000 frames{end}\n')
            clock.seconds += 30


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


def test_figures_and_notes(make_video, prepare, tmp_path, monkeypatch):
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    done = prepare(
        make_video([*[black] * 12, *range(30), *[black] * 20], 'walk.mp4'))
    unfinished = PreparedVideo(tmp_path / 'b.mp4', 'parts', None, 3., 'others')
    lines = summary_table([done, unfinished]).splitlines()
    assert {12, 42} <= set(done.manifest.cuts)
    assert re.match(
        r'walk.mp4 +62 +10 +128x48 +0\.000\d+ +0\.\d+ +3\.2 '
        rf'+{len(done.manifest.cuts)} ', lines[1])
    assert lines[2:] == [
        'walk.mp4: blank from 0.0 s to 1.2 s: left out of training',
        'walk.mp4: blank from 4.2 s to 6.2 s: left out of training',
        'b.mp4: its segments of this job are done; it waits for others'
    ]
    monkeypatch.setattr(reports, '_MOST_RANGES', 1)
    assert summary_table([done]).splitlines()[-1] == (
        'walk.mp4: and 1 more stretches, see walk.mp4.json')
    assert len(summary_table([unfinished]).splitlines()) == 1
