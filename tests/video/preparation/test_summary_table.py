import re

import numpy as np
from video_factory import HEIGHT, WIDTH

from dora_mm.video.preparation import summary_table as module
from dora_mm.video.preparation.summary_table import summary_table
from dora_mm.video.preparation.video_preparation import PreparedVideo


def test_figures_and_notes(make_video, prepare, tmp_path, monkeypatch):
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    done = prepare(
        make_video([*[black] * 12, *range(30), *[black] * 20], 'walk.mp4'))
    unfinished = PreparedVideo(tmp_path / 'b.mp4', 'parts', None, 3., 'others')
    lines = summary_table([done, unfinished]).splitlines()
    assert re.match(r'walk.mp4 +62 +10 +128x48 +0\.000\d+ +0\.\d+ +3\.2 ',
                    lines[1])
    assert lines[2:] == [
        'walk.mp4: blank from 0.0 s to 1.2 s: left out of training',
        'walk.mp4: blank from 4.2 s to 6.2 s: left out of training',
        'b.mp4: its segments of this job are done; it waits for others'
    ]
    monkeypatch.setattr(module, '_MOST_RANGES', 1)
    assert summary_table([done]).splitlines()[-1] == (
        'walk.mp4: and 1 more stretches, see walk.mp4.json')
    assert len(summary_table([unfinished]).splitlines()) == 1
