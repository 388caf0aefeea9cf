import pytest
from video_factory import damage, write_video


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
