"""What dora-mm audit finds in films whose truth is known."""
import re
import runpy
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

import cv2
import numpy as np
import pytest
from clean_python import ROOT
from mmengine.config import Config
from video_factory import moving_shot

from dora_mm import config_path
from dora_mm.apis.audit_plan import recommend_interval
from dora_mm.apis.video_audit import audit_video
from dora_mm.registry import DATASETS, MODELS
from dora_mm.utils.measured_rates import CLIPS_PER_SECOND, training_hours
from dora_mm.video import film_dynamics
from dora_mm.video.preparation import source_video
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.write_video import write_video

PERIOD = 6.  # seconds in which the grating comes back
FPS = 10


def grating(num_frames):
    """Two waves side by side that move by one each period, (N, H, W)."""
    phase = (2 * (np.arange(160) + 0.5) / 160 -
             np.arange(num_frames)[:, None] / FPS / PERIOD)
    rows = 128 + 80 * np.sin(2 * np.pi * phase)
    return np.repeat(rows[:, None], 96, 1).round().astype(np.uint8)


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """24 s of a grating, 3 s of its last frame, 2 s of black, 6 s of a pan."""
    moving = grating(240)
    pan = np.array([cv2.resize(f, (160, 96)) for f in moving_shot(3, 60)])
    luma = np.concatenate([
        moving,
        np.repeat(moving[-1:], 30, 0),
        np.zeros((20, 96, 160), np.uint8), pan
    ])
    path = tmp_path_factory.mktemp('film') / 'film.mp4'
    write_video(
        path, np.repeat(luma[..., None], 3, -1), Fraction(FPS), gop=20)
    return str(path)


@pytest.fixture(scope='module')
def audited(film):
    return audit_video(film, 1)


def test_what_is_known_of_a_film(audited):
    assert audited.num_frames == 350 and audited.size == (160, 96)
    assert audited.excluded == ((239, 270, 'frozen'), (270, 290, 'blank'))
    assert audited.excluded_seconds() == dict(
        frozen=3.1, blank=2., undecodable=0.)
    assert audited.useful_frames == 299
    assert audited.cuts[-1] == 290
    assert audited.lightness[275] == 0
    # 128 of 255 is L* 53.6; a sine in sRGB values is a little darker
    assert 45 < audited.lightness[:240].mean() < 54
    assert np.isnan(audited.motion[[0, 250, 280, 290]]).all()
    # the pan: one of 128 pixels a frame
    assert np.median(audited.motion[291:]) == pytest.approx(
        FPS / 128, rel=0.1)
    assert np.allclose(audited.times_of('novelty'), np.arange(35))
    # Nothing is old enough for 10 s; the whole period is old after 16.
    assert np.isnan(audited.novelty[:10]).all()
    assert np.nanmax(audited.novelty[16:23]) < 0.02
    assert np.nanmin(audited.novelty[30:]) > 0.3


def test_a_period_is_found_again():
    """Its correlation is cos(2 pi t / period), of unrelated pictures 0."""
    luma = np.array(
        [cv2.resize(f, (32, 18), interpolation=3) for f in grating(240)])
    units = film_dynamics.unit_pictures(luma)
    whole = np.zeros(240, int)
    found = film_dynamics.autocorrelation(units, whole, 100)
    lags = np.arange(101) / FPS
    np.testing.assert_allclose(
        found, np.cos(2 * np.pi * lags / PERIOD), atol=0.01)
    # down to a half after a sixth
    assert film_dynamics.half_life(found, 0.) == pytest.approx(
        FPS * PERIOD / 6, abs=0.1)
    # to the middle of 1 and 0.8: acos(0.9) / (2 pi) of a period
    assert film_dynamics.half_life(found, 0.8) == pytest.approx(
        FPS * PERIOD * 0.07178, abs=0.1)
    still = film_dynamics.autocorrelation(units[[0] * 50], whole[:50], 100)
    assert film_dynamics.half_life(still, 1 - 1e-3) is None
    assert np.isnan(still[50:]).all()


def test_pairs_lie_in_one_stretch():
    """Against loops, with two cuts and a stretch that is left out."""
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (30, 6, 8), dtype=np.uint8)
    stretches = film_dynamics.stretches_of(
        np.arange(0, 60, 2), ((20, 27, 'blank'), ), (12, 41))
    numbers, counts = (0, 1, -1, 3, 4), (6, 4, 4, 7, 9)
    assert stretches.tolist() == np.repeat(numbers, counts).tolist()
    units = film_dynamics.unit_pictures(luma)
    found = film_dynamics.autocorrelation(units, stretches, 9)
    for lag in range(10):
        pairs = [
            np.corrcoef(luma[i].ravel(), luma[i + lag].ravel())[0, 1]
            for i in range(30 - lag)
            if stretches[i] == stretches[i + lag] and stretches[i] != -1
        ]
        expected = np.mean(pairs) if pairs else np.nan
        assert found[lag] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_novelty_against_loops(monkeypatch):
    monkeypatch.setattr(film_dynamics, '_ROWS', 7)
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (40, 6, 8), dtype=np.uint8)
    luma[30:35] = luma[3:8]  # seen again
    used = np.ones(40, bool)
    used[[5, 32]] = False
    units = film_dynamics.unit_pictures(luma)
    found = film_dynamics.novelty(units, used, 4)
    for i in range(40):
        seen = [units[i] @ units[j] for j in range(i - 3) if used[j]]
        expected = 1 - max(seen) if seen and used[i] else np.nan
        assert found[i] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert found[[30, 31, 33, 34]] == pytest.approx(0, abs=1e-5)


def test_segments_make_no_difference(film, audited, monkeypatch):
    monkeypatch.setattr(source_video, '_SEGMENT_SECONDS', 2)
    again = audit_video(film, 1)
    assert (again.excluded, again.cuts) == (audited.excluded, audited.cuts)
    for name in ('seconds', 'lightness', 'motion', 'novelty', 'correlation'):
        np.testing.assert_array_equal(
            getattr(again, name), getattr(audited, name), name)


def test_it_agrees_with_what_is_prepared_and_trained(film, audited, tmp_path,
                                                     monkeypatch, capsys):
    """Stretches, cuts, bytes, clips; and its config trains on the store."""
    monkeypatch.chdir(tmp_path)
    done, errors = prepare_videos([film], tmp_path / 'store',
                                  PrepareSettings())
    assert not errors
    manifest = done[0].manifest
    assert (manifest.excluded, manifest.cuts) == (audited.excluded,
                                                  audited.cuts)
    assert audited.num_bytes == pytest.approx(manifest.bytes, rel=0.15)
    main = runpy.run_path(str(ROOT / 'tools/audit.py'))['main']
    main([film, '--store', str(tmp_path / 'store'), '--workers', '1'])
    assert 'useful               0.5 of 0.6 minutes' in capsys.readouterr().out
    page = (tmp_path / 'work_dirs/audit/README.md').read_text()
    for picture in re.findall(r'!\[\]\((.*?)\)', page):
        assert np.ptp(cv2.imread(f'work_dirs/audit/{picture}')) > 200
    cfg = Config.fromfile('work_dirs/audit/config.py')
    assert type(MODELS.build(cfg.model)).__name__ == 'DoRA'
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert f'| {len(data)} |\n' in page and len(data) > 0
    assert data.spacing.frame_interval == recommend_interval([audited], 8)
    # A prepared video is believed what its manifest says.
    again = audit_video(str(done[0].path), 1)
    assert again.num_bytes == manifest.bytes
    assert again.excluded == manifest.excluded
    # But not of what has been damaged since.
    data = bytearray(done[0].path.read_bytes())
    for number in (30, 31, 32, 255):
        place = [m.start() for m in re.finditer(b'\xff\xd8\xff', data)][number]
        data[place + 200] ^= 1
    done[0].path.write_bytes(data)
    begin, end = manifest.excluded[0][:2]
    assert begin < 255 < end - 1
    assert audit_video(str(done[0].path), 1).excluded == (
        (30, 33, 'undecodable'), (begin, 255, 'frozen'),
        (255, 256, 'undecodable'), (256, end, 'frozen'),
        *manifest.excluded[1:])


def test_interval_lets_half_of_the_frames_begin_a_clip(audited):
    """299 useful frames in shots of 239 and 60; a clip spans 7 intervals."""
    assert audited.half_life == pytest.approx(1, abs=0.2)
    interval = recommend_interval([audited], 8)
    assert audited.num_clips(interval, 8) == sum(
        max(0, shot - 7 * round(10 * interval)) for shot in (239, 60))
    assert interval == round(audited.half_life * 20) / 20
    # with 20 frames: 239 - 19 * step is half of 299 for a step of 4
    assert recommend_interval([audited], 20) == pytest.approx(0.45)


def test_a_folder_shows_one_audit(tmp_path, capsys):
    """The pictures of the first stayed, and a space broke their links."""
    main = runpy.run_path(str(ROOT / 'tools/audit.py'))['main']
    out, curve = tmp_path / 'out', r'^!\[\]\(([\w%.-]+)\)$'
    pan = np.array([cv2.resize(f, (160, 96)) for f in moving_shot(3, 25)])
    for name in ('my walk (1).mp4', 'b.mp4'):
        write_video(tmp_path / name, np.repeat(pan[..., None], 3, -1),
                    Fraction(FPS))
        (out / '000_mine.png').touch() if out.exists() else out.mkdir()
        main([str(tmp_path / name), '--out-dir', str(out), '--workers', '1'])
        assert f'frames of {tmp_path / name} (1 of 1)' in capsys.readouterr(
        ).err
        page = (out / 'README.md').read_text()
        shown = [unquote(link) for link in re.findall(curve, page, re.M)]
        assert shown == [f'000_{Path(name).stem}.png']
        assert f'{name} has 96 pixels on its short side, fewer than the 300' \
            in page
    assert {path.name for path in out.glob('*.png')} == {
        '000_mine.png', '000_b.png'}


def test_recipe_is_checked_before_videos_are_read():
    main = runpy.run_path(str(ROOT / 'tools/audit.py'))['main']
    for recipe, message in (('dora/none', "must be a config.*got 'dora/none'"),
                            ('evaluation/davis2017', 'must train on videos')):
        with pytest.raises(ValueError, match=message):
            main(['no.mp4', '--recipe', recipe])


def test_rates_are_those_of_the_page():
    page = (ROOT / 'docs/benchmarks.md').read_text()
    for card, rates in CLIPS_PER_SECOND.items():
        for rate in rates:
            assert re.search(rf'\| {card} \|( [\d.]+ \|)? {rate} \|', page)
    # A video of 110 minutes, as the recipe for one GPU says.
    hours = training_hours(110 * 60 * 60 * 100, 'H100', 2)
    text = open(config_path('dora/vit-s16_wt_1gpu')).read()
    low, high = map(int, re.search(r'expected (\d+) to (\d+) hours',
                                   text).groups())
    assert hours == (pytest.approx(low, rel=0.02), pytest.approx(
        high, rel=0.02))
