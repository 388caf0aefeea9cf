import gc
import io
import json
import os
import runpy
import sys
import tarfile

import numpy as np
import pytest
from clean_python import ROOT
from mmengine.registry import DefaultScope
from PIL import Image
from video_factory import damage, write_video
from warm_python import leave_out

from dora_mm import config_path
from dora_mm.video.demo_video import make_demo_video

leave_out()


def pytest_collection_finish():
    """Spare collections what was imported, which stays."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def cache_folder(tmp_path_factory):
    """Keep what is saved between runs out of the user's cache."""
    old = os.environ.get('DORA_MM_CACHE')
    folder = tmp_path_factory.mktemp('cache')
    os.environ['DORA_MM_CACHE'] = str(folder)
    yield folder
    if old is None:
        del os.environ['DORA_MM_CACHE']
    else:
        os.environ['DORA_MM_CACHE'] = old


@pytest.fixture(autouse=True)
def no_default_scope():
    """Runners leave a default scope: no test must live on another's."""
    DefaultScope._instance_dict.clear()
    yield
    DefaultScope._instance_dict.clear()


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
    folder = tmp_path_factory.mktemp('classes')
    # Drawing 200 pictures would take longer than encoding them ten times.
    source = make_demo_video(folder / 'source.mp4', 24, (160, 90))
    paths = video_classes.make_classes(folder, source, num_frames=200)
    return {path.stem: str(path) for path in paths}


@pytest.fixture(scope='session')
def image_set(tmp_path_factory):
    """A folder and a tar file with the same small labelled images.

    Three classes of different colours, an odd number of images, so that two
    processes do not share them evenly.
    """
    root = tmp_path_factory.mktemp('images') / 'set'
    rng = np.random.default_rng(0)
    colours = dict(red=(200, 60, 60), green=(60, 200, 60), blue=(60, 60, 200))
    for split, number in (('train', 7), ('test', 3)):
        for name, colour in colours.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                noise = rng.normal(0, 90, (32, 32, 3))
                pixels = (noise + colour).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
    archive = root.with_suffix('.tar')
    with tarfile.open(archive, 'w') as file:
        for path in sorted(root.rglob('*.png')):
            data = path.read_bytes()
            member = tarfile.TarInfo(f'set/{path.relative_to(root)}')
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return root, archive


@pytest.fixture
def evaluate(tmp_path):
    """Run tools/test.py in this process; the metrics that it writes."""
    main = runpy.run_path(str(ROOT / 'tools/test.py'))['main']

    def run(config, source, data, *options):
        out = tmp_path / 'evaluation'
        options = ('--cfg-options', *options) if options else ()
        main([
            config_path(f'evaluation/{config}'),
            str(source), '--data',
            str(data), '--work-dir',
            str(out), *options
        ])
        return json.loads((out / 'results.json').read_text())['metrics']

    return run
