"""Pictures of one video never replace those of another."""
import json
import multiprocessing
import os

import pytest

from dora_mm.utils.claim_outputs import claim_outputs

NAMES = r'clip\d+\.png'


def test_names_are_of_one_file(tmp_path):
    """Two videos called walk.mp4 shared their pictures."""
    first, second, other = (
        tmp_path / name for name in ('a/walk.mp4', 'b/walk.mp4', 'a/ride.mp4'))
    out = tmp_path / 'out'
    assert claim_outputs(out, first, 'tracks', NAMES, model='m') == 'walk'
    assert claim_outputs(out, first, 'tracks', NAMES, model='n') == 'walk'
    assert claim_outputs(out, other, 'tracks', NAMES) == 'ride'
    # pictures of another kind have other names
    assert claim_outputs(out, second, 'features', NAMES) == 'walk'
    with pytest.raises(ValueError, match=f'must be free of.* is of {first}: '
                       'choose another folder'):
        claim_outputs(out, second, 'tracks', NAMES)
    record = out / 'walk_tracks.json'
    assert json.loads(record.read_text()) == dict(
        source=str(first), model='n')
    record.write_text('[]')
    with pytest.raises(ValueError, match='is of a file of another program'):
        claim_outputs(out, first, 'tracks', NAMES)


def test_drawings_are_not_put_among_prepared_videos(tmp_path):
    """Training takes every film of the folder."""
    (tmp_path / 'walk.mp4.json').write_text('{}')
    with pytest.raises(ValueError, match='without prepared videos'):
        claim_outputs(tmp_path, 'a/walk.mp4', 'tracks', NAMES)
    assert len(list(tmp_path.iterdir())) == 1


def test_outputs_are_of_one_run(tmp_path):
    """Frames of another second stayed, beside those of the present one."""
    walk, ride = (tmp_path / f'{name}.mp4' for name in ('walk', 'walk_clip1'))
    out = tmp_path / 'out'
    claim_outputs(out, walk, 'tracks', NAMES)
    claim_outputs(out, ride, 'tracks', NAMES)
    kept = {'walk_clip1_clip0.png', 'walk_clip0_mine.png', 'ride_clip0.png'}
    for name in ('walk_clip0.png', 'walk_clip1.png', *kept):
        (out / name).touch()
    claim_outputs(out, walk, 'tracks', NAMES)
    assert {path.name for path in out.iterdir()} == kept | {
        'walk_tracks.json', 'walk_clip1_tracks.json'}


@pytest.mark.parametrize('names', ['aa', 'ab'])
def test_one_process_at_a_time_makes_them(tmp_path, names):
    """Both got the names; one removed what the other was removing."""
    context = multiprocessing.get_context('fork')
    meeting, said = context.Barrier(2, timeout=60), context.Queue()
    rounds = range(20)

    def run(name):
        for number in rounds:
            out = tmp_path / str(number)
            meeting.wait()
            try:
                word = claim_outputs(out, tmp_path / name / 'walk.mp4',
                                     'tracks', NAMES)
            except (ValueError, OSError) as error:
                word = str(error)
            said.put((number, word))
            meeting.wait()

    for number in rounds:
        (tmp_path / str(number)).mkdir()
        if names == 'aa':  # with what an earlier run has left
            (tmp_path / str(number) / 'walk_tracks.json').write_text(
                json.dumps(dict(source=str(tmp_path / 'a/walk.mp4'))))
            for clip in range(30):
                (tmp_path / str(number) / f'walk_clip{clip}.png').touch()
    processes = [context.Process(target=run, args=name) for name in names]
    for process in processes:
        process.start()
    found = [said.get(timeout=120) for _ in rounds for _ in names]
    for process in processes:
        process.join()
    for number in rounds:
        refusal, word = sorted(word for n, word in found if n == number)
        assert word == 'walk' and refusal.startswith('--out-dir must ')
        assert os.listdir(tmp_path / str(number)) == ['walk_tracks.json']
