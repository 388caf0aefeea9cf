"""Pictures of one video never replace those of another."""
import json

import pytest

from dora_mm.utils.claim_outputs import claim_outputs


def test_names_are_of_one_file(tmp_path):
    """Two videos called walk.mp4 shared their pictures."""
    first, second, other = (
        tmp_path / name for name in ('a/walk.mp4', 'b/walk.mp4', 'a/ride.mp4'))
    out = tmp_path / 'out'
    assert claim_outputs(out, first, 'tracks', model='m') == 'walk'
    assert claim_outputs(out, first, 'tracks', model='n') == 'walk'
    assert claim_outputs(out, other, 'tracks') == 'ride'
    # pictures of another kind have other names
    assert claim_outputs(out, second, 'features') == 'walk'
    with pytest.raises(ValueError, match=f'must be free of.* is of {first}: '
                       'choose another folder'):
        claim_outputs(out, second, 'tracks')
    record = out / 'walk_tracks.json'
    assert json.loads(record.read_text()) == dict(
        source=str(first), model='n')
    record.write_text('[]')
    with pytest.raises(ValueError, match='is of a file of another program'):
        claim_outputs(out, first, 'tracks')


def test_drawings_are_not_put_among_prepared_videos(tmp_path):
    """Training takes every film of the folder."""
    (tmp_path / 'walk.mp4.json').write_text('{}')
    with pytest.raises(ValueError, match='without prepared videos'):
        claim_outputs(tmp_path, 'a/walk.mp4', 'tracks')
    assert len(list(tmp_path.iterdir())) == 1
