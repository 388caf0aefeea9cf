import numpy as np
import pytest

from dora_mm.datasets.clip_index import ClipIndex, FileClips


def clips_in_loops(files, stride):
    """Every clip, frame by frame: the slow reference."""
    return [(number, start) for number, file in enumerate(files)
            for start in range(0, file.num_starts, stride)
            if not any(begin <= start + offset < end for offset in file.offsets
                       for begin, end in file.excluded)
            and not any(start < cut <= start + file.offsets[-1]
                        for cut in file.cuts)]


def random_files(rng):
    files = []
    for _ in range(rng.integers(1, 4)):
        starts = int(rng.integers(1, 90))
        edges = np.sort(rng.integers(0, 120, 2 * rng.integers(0, 4)))
        files.append(
            FileClips(starts, tuple(range(0, 30, int(rng.integers(4, 11)))),
                      tuple(map(tuple,
                                edges.reshape(-1, 2).tolist())),
                      tuple(rng.integers(1, 120, rng.integers(3)).tolist())))
    return files


@pytest.mark.parametrize('stride', [1, 3, 7])
def test_against_loops(stride):
    rng = np.random.default_rng(0)
    num_excluded = 0
    for _ in range(200):
        files = random_files(rng)
        index = ClipIndex(files, stride)
        expected = clips_in_loops(files, stride)
        num_excluded += len(expected) == 0
        assert len(index) == len(expected)
        assert [index.locate(i) for i in range(len(index))] == expected
        size = int(rng.integers(1, 20))
        blocks = index.blocks(size).tolist()
        # Together they are all clips, in order.
        assert [i for b, e in blocks
                for i in range(b, e)] == list(range(len(index)))
        for begin, end in blocks:
            clips = expected[begin:end]
            assert 0 < len(clips) <= size
            assert len({number for number, _ in clips}) == 1
            assert np.ptp([s for _, s in clips]) == stride * (len(clips) - 1)
    assert 0 < num_excluded < 100


def test_half_a_video_is_left_out():
    """One of the published files is blank from the middle on."""
    offsets = tuple(range(0, 421, 60))
    index = ClipIndex([FileClips(395580, offsets, ((198000, 396000), ))], 1)
    # The last frame of a clip is 420 frames behind its first.
    assert len(index) == 198000 - 420
    assert index.locate(len(index) - 1) == (0, 197579)
