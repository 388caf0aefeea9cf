import json
import os
from dataclasses import replace
from fractions import Fraction

import pytest

from dora_mm.video.video_manifest import VideoManifest


@pytest.fixture
def manifest():
    return VideoManifest(
        source=dict(name='walk.mkv', bytes=9, sample_sha256='cd'),
        settings=dict(encoding='mjpeg'),
        settings_hash='ab',
        fps=Fraction(30000, 1001),
        num_frames=100,
        width=8,
        height=6,
        bytes=7,
        excluded=((0, 10, 'blank'), (10, 100, 'undecodable')),
        notes=('a note', ),
        verified=dict(psnr_min=40.),
        cuts=(10, 99))


def test_saved_and_loaded(manifest, tmp_path):
    path = tmp_path / 'walk.mp4'
    assert VideoManifest.load(path) is None
    manifest.save(path)
    assert os.listdir(tmp_path) == ['walk.mp4.json']
    assert VideoManifest.load(str(path)) == manifest
    assert json.loads(
        (tmp_path / 'walk.mp4.json').read_text())['fps'] == '30000/1001'


@pytest.mark.parametrize('changes, message', [
    (dict(version=3), 'version 3.*Update dora_mm'),
    (dict(version=None), 'version is None'),
    (dict(num_frames='100'), 'num_frames'),
    (dict(num_frames=True), 'num_frames'),
    (dict(num_frames=0), 'num_frames is 0'),
    (dict(fps='0/1'), 'fps'),
    (dict(fps='fast'), 'fps'),
    (dict(fps='1/0'), 'fps'),
    (dict(source=[]), 'source'),
    (dict(excluded=[[0, 10]]), 'excluded'),
    (dict(excluded=[[0, 10, 'boring']]), 'excluded'),
    (dict(excluded=[[0, 10, 'blank'], [9, 12, 'blank']]), 'overlaps'),
    (dict(excluded=[[5, 5, 'blank']]), 'empty'),
    (dict(excluded=[[90, 101, 'blank']]), 'beyond the 100'),
    (dict(version=True), 'version is True'),
    (dict(cuts={}), 'cuts is {}'),
    (dict(cuts=[5, 5]), 'cuts holds 5'),
    (dict(cuts=[0]), 'cuts holds 0'),
    (dict(cuts=[True, 7]), 'cuts holds True'),
    (dict(cuts=[100]), 'cuts holds 100.*100 frames'),
])
def test_malformed(manifest, tmp_path, changes, message):
    path = tmp_path / 'walk.mp4'
    manifest.save(path)
    file = VideoManifest.path_of(path)
    file.write_text(json.dumps(dict(json.loads(file.read_text()), **changes)))
    with pytest.raises(ValueError, match=message) as error:
        VideoManifest.load(path)
    assert str(file) in str(error.value) and '--overwrite' in str(error.value)


def test_first_version_knew_no_cuts(manifest, tmp_path):
    path = tmp_path / 'walk.mp4'
    manifest.save(path)
    file = VideoManifest.path_of(path)
    old = dict(json.loads(file.read_text()), version=1)
    del old['cuts']
    file.write_text(json.dumps(old))
    assert VideoManifest.load(path) == replace(manifest, cuts=None)


@pytest.mark.parametrize('text', ['', '{', '[1]', '\xff'])
def test_not_json(tmp_path, text):
    (tmp_path / 'walk.mp4.json').write_bytes(text.encode('latin-1'))
    with pytest.raises(ValueError, match='is not a manifest.*--overwrite'):
        VideoManifest.load(tmp_path / 'walk.mp4')
