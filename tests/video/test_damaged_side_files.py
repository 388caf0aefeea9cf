"""What is saved beside videos may be damaged: it is made anew, or refused."""
import hashlib
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from video_factory import write_video

from dora_mm.utils.read_json import read_json
from dora_mm.video.preparation.part_store import PartStore
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.preparation.source_video import Segment
from dora_mm.video.preparation.stillness import Stillness
from dora_mm.video.readers import load_video_index as _module
from dora_mm.video.readers import saved_arrays
from dora_mm.video.readers.load_video_index import index_file, load_video_index
from dora_mm.video.shot_cuts import Changes
from dora_mm.video.video_manifest import VideoManifest

MUTATIONS = 150


def mutate(content, rng):
    """Cut, overwritten, with a bit flipped, repeated, or of another kind."""
    data = bytearray(content)
    kind = rng.randrange(6)
    place = rng.randrange(len(data))
    if kind == 0:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        data[place:place + 64] = bytes(64)
    elif kind == 3:
        del data[place:place + rng.randrange(1, 200)]
    elif kind == 4:
        data[place:place] = data[place // 2:place]
    else:
        data = bytearray(rng.randbytes(rng.randrange(200)))
    return bytes(data)


def mutations(content, seed):
    rng = random.Random(seed)
    for _ in range(MUTATIONS):
        changed = mutate(content, rng)
        if changed != content:
            yield changed


def test_damaged_index_is_made_anew(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'a.mp4', 20)
    good = vars(load_video_index(path))
    file = index_file(path)
    content = file.read_bytes()
    warnings = []
    monkeypatch.setattr('dora_mm.video.readers.saved_arrays.warn',
                        warnings.append)
    identity = json.loads(
        str(_module.load_arrays(file)['header']))['identity']
    assert _module._load(file, identity) is not None
    tried = 0
    for changed in mutations(content, 0):
        file.write_bytes(changed)
        assert _module._load(file, identity) is None
        tried += 1
    assert len(warnings) == tried > 100
    assert all(str(file) in line and '\n' not in line for line in warnings)
    _module._loaded.clear()  # as in another process
    again = vars(load_video_index(path))
    assert file.read_bytes() == content
    for name, value in good.items():
        assert np.array_equal(again[name], value), name


@pytest.fixture
def store(tmp_path):
    """A store with one part, and its segment."""
    store = PartStore(tmp_path, dict(a=1))
    segment = Segment(*([0] + [(0, 4)] * (len(Segment._fields) - 1)))
    store.path_of(segment).write_bytes(bytes(range(256)) * 8)
    small = np.zeros((2, 2), np.uint8)
    store.finish(segment,
                 Stillness(np.ones(4, bool), np.zeros(4, bool), small, small),
                 Changes(np.zeros((4, 8), np.float32), small, small), [(1, 2)])
    return store, segment


@pytest.mark.parametrize('suffix', ['.mp4', '.npz'])
def test_damaged_part_is_made_anew(store, suffix):
    store, segment = store
    assert store.load(segment).undecodable == [(1, 2)]
    file = store.path_of(segment).with_suffix(suffix)
    content = file.read_bytes()
    for changed in mutations(content, 1):
        file.write_bytes(changed)
        assert store.load(segment) is None
    file.write_bytes(content)
    assert store.load(segment) is not None


def test_part_of_an_earlier_layout_is_made_anew(store):
    """Before there was a number of the layout; its changes were (N, 2)."""
    store, segment = store
    path = store.path_of(segment)
    text = json.dumps([json.dumps(dict(a=1), sort_keys=True), segment])
    name = f'00000-{hashlib.sha256(text.encode()).hexdigest()[:12]}'
    for suffix in ('.mp4', '.npz'):
        path.with_suffix(suffix).rename(path.with_name(name + suffix))
    assert store.load(segment) is None
    store.remove_others([segment])
    assert not list(store.folder.iterdir())


def test_damaged_lock_is_taken_over(store):
    store, _ = store
    for text in ('', '{', '[1, 2, 3]', '["a", "b"]', '[' * 9000, '"\udcff"'):
        store.lock_path.write_bytes(text.encode(errors='surrogateescape'))
        with store.lock() as mine:
            assert mine, text


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """A prepared video with its source."""
    folder = tmp_path_factory.mktemp('prepared')
    source = write_video(folder / 'walk.mp4', 30)
    (video, ), _ = prepare_videos([source], folder / 'out', PrepareSettings())
    return source, folder / 'out' / 'walk.mp4', video.manifest


def test_damaged_manifest_is_refused_with_a_remedy(prepared, tmp_path):
    _, path, manifest = prepared
    file = VideoManifest.path_of(tmp_path / 'v.mp4')
    content = VideoManifest.path_of(path).read_bytes()
    for changed in mutations(content, 2):
        file.write_bytes(changed)
        try:
            found = VideoManifest.load(tmp_path / 'v.mp4')
        except ValueError as error:
            assert str(file) in str(error) and '--overwrite' in str(error)
        else:  # white space, or an older one that has no digest
            assert found == manifest


@pytest.mark.parametrize(('name', 'value'), [
    ('fps', '1e40000000'), ('fps', '9' * 10**6), ('fps', '1/0'),
    ('num_frames', 10**400), ('extra', 1), ('width', 1e400),
    ('verified', [])])
def test_absurd_values_are_refused(prepared, tmp_path, name, value):
    data = read_json(VideoManifest.path_of(prepared[1]))
    del data['digest']
    data[name] = value
    file = VideoManifest.path_of(tmp_path / 'v.mp4')
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f'manifest.*{name}'):
        VideoManifest.load(tmp_path / 'v.mp4')
    file.write_text('[' * 100000)
    with pytest.raises(ValueError, match='too deep'):
        VideoManifest.load(tmp_path / 'v.mp4')


def test_one_digit_of_a_manifest_is_noticed(prepared, tmp_path):
    """It would be another frame rate, and a valid one."""
    data = read_json(VideoManifest.path_of(prepared[1]))
    data['fps'] = '31/1'
    file = VideoManifest.path_of(tmp_path / 'v.mp4')
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match='digest'):
        VideoManifest.load(tmp_path / 'v.mp4')


def test_video_with_a_damaged_manifest_is_prepared_anew(
        prepared, tmp_path, capsys):
    source, path, manifest = prepared
    out = tmp_path / 'out'
    shutil.copytree(Path(path).parent, out)
    file = VideoManifest.path_of(out / path.name)
    file.write_bytes(file.read_bytes()[:-40])
    (again, ), _ = prepare_videos([source], out, PrepareSettings())
    assert (again.status, again.manifest) == ('prepared', manifest)
    assert VideoManifest.load(out / path.name) == manifest


def test_a_slip_of_the_parser_is_no_damage(tmp_path, monkeypatch):
    """Python 3.11 raised one while numpy read a header of a whole file."""
    values = dict(a=np.arange(3), b=np.array('text'))
    saved_arrays.save_arrays(tmp_path / 'a.npz', values)
    load, slips = np.load, [SystemError('recursion depth mismatch')]

    def slip(*args, **kwargs):
        if slips:
            raise slips.pop()
        return load(*args, **kwargs)

    monkeypatch.setattr(np, 'load', slip)
    found = saved_arrays.load_arrays(tmp_path / 'a.npz')
    assert not slips and set(found) == set(values)
    for name, value in values.items():
        assert np.array_equal(found[name], value)
