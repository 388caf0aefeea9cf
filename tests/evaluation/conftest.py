import io
import json
import runpy
import tarfile

import numpy as np
import pytest
from clean_python import ROOT
from PIL import Image

from dora_mm import config_path


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
