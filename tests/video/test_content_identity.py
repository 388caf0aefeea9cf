import hashlib

import numpy as np

from dora_mm.video.content_identity import content_identity


def test_sample_is_beginning_middle_and_end(tmp_path):
    """Checkpoints hold it, so that it must stay as it is."""
    data = np.random.default_rng(0).bytes(300_000)
    path = tmp_path / 'walk.mp4'
    path.write_bytes(data)
    sample = data[:65536] + data[150_000:215_536] + data[234_464:]
    assert list(content_identity(path).values()) == [
        'walk.mp4', 300_000,
        hashlib.sha256(sample).hexdigest()
    ]
