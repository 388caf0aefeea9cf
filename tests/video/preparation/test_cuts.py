"""Shot cuts of a prepared video, and manifests from before there were any."""
import json

import numpy as np
import pytest
from video_factory import moving_shot

from dora_mm.datasets import (WalkingToursVideoDataset,
                              walking_tours_video_dataset)
from dora_mm.video.preparation import video_preparation
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.video_manifest import VideoManifest
from dora_mm.video.video_stats import shot_cuts

CUTS = (20, 43, 61, 83)


@pytest.fixture
def source(make_video):
    """Ten frames a second; one cut is the border of two segments."""
    edges = (0, *CUTS, 100)
    shots = [moving_shot(i, b - a) for i, (a, b) in enumerate(zip(
        edges, edges[1:]))]
    path = make_video(np.repeat(np.concatenate(shots)[..., None], 3, -1))
    starts = [s.output[0] for s in SourceVideo(str(path)).segments()]
    assert len(starts) > 2 and set(starts) & set(CUTS)
    return path


@pytest.mark.parametrize('encoding, workers', [('mjpeg', 1), ('h264', 2)])
def test_old_manifest_gets_its_cuts_without_encoding(source, prepare, encoding,
                                                     workers, monkeypatch):
    done = prepare(source, encoding)
    assert done.manifest.cuts == CUTS
    file = VideoManifest.path_of(done.path)
    old = dict(json.loads(file.read_text()), version=1)
    del old['cuts']
    file.write_text(json.dumps(old))
    before = done.path.read_bytes()

    def encode(*args):
        raise AssertionError('nothing is to be encoded')

    monkeypatch.setattr(video_preparation, 'encode_and_count', encode)
    again = prepare(source, encoding, workers=workers)
    assert again.status == 'cuts added'
    assert again.manifest == done.manifest == VideoManifest.load(done.path)
    assert done.path.read_bytes() == before
    assert prepare(source, encoding).status == 'was finished'
    assert shot_cuts(str(source)) == shot_cuts(str(done.path)) == [
        cut / 10 for cut in CUTS
    ]


def test_clips_across_cuts_are_left_out(source, prepare):
    path = prepare(source).path
    settings = dict(clip_len=5, frame_interval=0.4)  # 16 frames to the last
    every = WalkingToursVideoDataset(path, **settings, across_cuts=True)
    assert len(every) == 100 - 16
    starts = [
        int(every.get_clip_info(i)['frame_indices'][0]) for i in range(84)
    ]
    kept = WalkingToursVideoDataset(path, **settings)
    shot = np.searchsorted(CUTS, np.arange(100), side='right')
    assert [
        int(kept.get_clip_info(i)['frame_indices'][0])
        for i in range(len(kept))
    ] == [s for s in starts if shot[s] == shot[s + 16]] != []
    with pytest.raises(ValueError, match='crosses a shot cut.*across_cuts'):
        WalkingToursVideoDataset(path, clip_len=4, frame_interval=1)


def test_unknown_cuts_are_warned_of(source, monkeypatch):
    said = []
    monkeypatch.setattr(walking_tours_video_dataset, 'print_log',
                        lambda text, **kwargs: said.append(text))
    for settings, warned in (({}, True), (dict(across_cuts=True), False)):
        WalkingToursVideoDataset(
            source, clip_len=2, frame_interval=1, **settings)
        assert sum(f'the shot cuts of {source} are not known' in text
                   for text in said) == warned
        said.clear()
