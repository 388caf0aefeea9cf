import sys

import pytest
from clean_python import ROOT
from video_factory import damage, write_video

from dora_mm.utils.demo_video import make_demo_video


@pytest.fixture(scope='session')
def video_dir(tmp_path_factory):
    """A folder with numbered videos and damaged copies of them."""
    root = tmp_path_factory.mktemp('videos')
    good = write_video(root / 'good.mp4', 200)
    fast = write_video(root / 'fast.mp4', 200, movflags='faststart')
    write_video(root / 'good.mkv', 120)
    for kind in ('truncated_moov_last', 'empty', 'text', 'zeroed_tail',
                 'zeroed_hole', 'zeroed_all'):
        damage(good, root / f'{kind}.mp4', kind)
    damage(fast, root / 'truncated_faststart.mp4', 'truncated_faststart')
    return root


@pytest.fixture(scope='session')
def video_classes(tmp_path_factory):
    """A small numbered video of each kind that readers get wrong, by name."""
    sys.path.append(str(ROOT / 'benchmarks'))
    try:
        import video_classes
    finally:
        sys.path.remove(str(ROOT / 'benchmarks'))
    video_classes.NUM_FRAMES = 200
    folder = tmp_path_factory.mktemp('classes')
    # Drawing 200 pictures would take longer than encoding them ten times.
    source = make_demo_video(folder / 'source.mp4', 24, (160, 90))
    paths = video_classes.make_classes(folder, source)
    return {path.stem: str(path) for path in paths}
