import logging
import math
import os
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader
from video_factory import read_number, write_video

from dora_mm.datasets import ClipSampler, WalkingToursVideoDataset
from dora_mm.registry import DATASETS
from dora_mm.video.readers import VideoDecodeError, VideoInfo
from dora_mm.video.video_files import find_video_files

PROBE = 'dora_mm.datasets.walking_tours_video_dataset.probe_video'
PIPELINE = [
    dict(type='dora_mm.LoadClipFromVideo'),
    dict(type='dora_mm.ClipRandomResizedCrop', size=24),
    dict(type='dora_mm.PackClipInputs')
]
DATA = Path(__file__).resolve().parents[2] / '../shared/data/videos'


@pytest.fixture
def fake_files(tmp_path, monkeypatch):
    """Make empty files that pass for videos of a given length and rate."""

    def make(**files):
        for name in files:
            (tmp_path / f'{name}.mp4').touch()

        def probe(path):
            frames, fps = files[Path(path).stem]
            return VideoInfo(path, frames, fps, 'h264')

        monkeypatch.setattr(PROBE, probe)
        return tmp_path

    return make


class _Failing:
    """A loader that cannot decode some of the start frames."""

    def __init__(self, bad):
        self.bad = bad

    def __call__(self, results):
        start = int(results['frame_indices'][0])
        if self.bad(start):
            raise VideoDecodeError(results['video_path'], 'broken', 'Mend',
                                   start)
        return results


def clips_in_loops(files, clip_len, step_of, last_of, start_stride):
    """Every clip, listed one by one: the slow reference of the index."""
    clips = []
    for name, (frames, fps) in files.items():
        step = step_of(fps)
        for start in range(0, frames, start_stride):
            if start + last_of(clip_len, step) <= frames - 1:
                clips.append(
                    (name, [start + t * step for t in range(clip_len)]))
    return clips


@pytest.mark.parametrize('clip_len', [1, 3, 8])
@pytest.mark.parametrize('start_stride', [1, 4])
@pytest.mark.parametrize('spacing', [
    dict(frame_interval=1),
    dict(frame_interval=0.1),
    dict(frame_stride=5),
])
def test_index_equals_a_list_of_all_clips(fake_files, clip_len, start_stride,
                                          spacing):
    files = dict(a=(301, 29.97), b=(200, 10.), c=(333, 25.))
    root = fake_files(**files)
    dataset = WalkingToursVideoDataset(
        root, clip_len=clip_len, start_stride=start_stride, **spacing)
    if 'frame_stride' in spacing:
        # The released length, frames - T * stride, leaves the last ones out.
        expected = clips_in_loops(files, clip_len, lambda fps: 5,
                                  lambda t, step: t * step, start_stride)
    else:
        expected = clips_in_loops(
            files, clip_len,
            lambda fps: round(fps * spacing['frame_interval']), lambda t, step:
            (t - 1) * step, start_stride)
    found = [dataset.get_clip_info(i) for i in range(len(dataset))]
    assert [(Path(c['video_path']).stem, c['frame_indices'].tolist())
            for c in found] == expected
    assert found[0]['frame_indices'].dtype == np.int64
    assert {c['fps'] for c in found} == {29.97, 10., 25.}
    last = dataset.get_clip_info(-1)['frame_indices']
    assert last.tolist() == expected[-1][1]
    for index in (len(expected), -len(expected) - 1):
        with pytest.raises(IndexError, match='out of range'):
            dataset.get_clip_info(index)


def test_released_recipe_on_venice_has_the_released_length(fake_files):
    root = fake_files(venice=(396000, 60.))
    dataset = WalkingToursVideoDataset(root, frame_stride=60)
    assert len(dataset) == 396000 - 8 * 60


def test_memory_does_not_grow_with_the_number_of_clips(fake_files):
    short, hours = 10 * 60, 10 * 3600 * 60
    root = fake_files(
        short=(short, 60.), **{f'h{i}': (hours, 60.)
                               for i in range(10)})

    def measure(names):
        paths = [root / f'{name}.mp4' for name in names]
        tracemalloc.start()
        # Without the warning, whose memory would be counted.
        dataset = WalkingToursVideoDataset(
            paths, frame_interval=1, across_cuts=True)
        dataset.get_clip_info(len(dataset) // 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return len(dataset), peak, len(pickle.dumps(dataset))

    measure(['short'])  # imports are not to be counted
    few = measure(['short'])
    many = measure(['h0'])
    ten = measure([f'h{i}' for i in range(10)])
    assert many[0] == hours - 7 * 60 and ten[0] == 10 * many[0]
    assert many[1] < few[1] + 2000 and ten[1] < few[1] + 30000
    assert many[2] < few[2] + 100 and ten[2] < few[2] + 2000


def test_clips_hold_the_frames_they_name(video_dir):
    dataset = WalkingToursVideoDataset(['good.mp4', 'good.mkv'],
                                       data_root=video_dir,
                                       clip_len=4,
                                       frame_interval=1.5,
                                       pipeline=[PIPELINE[0]])
    assert len(dataset) == 200 - 45 + 120 - 45
    for index in (0, 77, 154, 155, 200, len(dataset) - 1):
        results = dataset[index]
        numbers = [read_number(frame) for frame in results['clip']]
        assert numbers == results['frame_indices'].tolist()
        name = 'good.mp4' if index < 155 else 'good.mkv'
        assert results['video_path'] == str(video_dir / name)


def load_all(dataset, num_workers, seed=3):
    sampler = ClipSampler(dataset, seed=seed)
    loader = DataLoader(
        dataset,
        4,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=default_collate)
    clips = {}
    for batch in loader:
        assert batch['inputs'].shape[1:] == (3, 3, 24, 24)
        assert batch['inputs'].dtype == torch.uint8
        for clip, sample in zip(batch['inputs'], batch['data_samples']):
            clips[sample.seed] = (clip.clone(), sample.start_frame,
                                  sample.num_replaced)
    return clips


def test_clips_do_not_depend_on_the_number_of_workers(video_dir):
    dataset = WalkingToursVideoDataset(
        'zeroed_hole.mp4',
        data_root=video_dir,
        clip_len=3,
        frame_stride=10,
        start_stride=6,
        pipeline=PIPELINE)
    # The main process has the file open when the workers are forked.
    alone = load_all(dataset, 0)
    shared = load_all(dataset, 2)
    assert len(alone) == len(dataset) == 29
    assert alone.keys() == shared.keys()
    for seed, (clip, start, num_replaced) in alone.items():
        assert torch.equal(clip, shared[seed][0])
        assert (start, num_replaced) == shared[seed][1:]
    # The damaged place was met, and nothing came out of it.
    assert 0 < sum(replaced > 0 for _, _, replaced in alone.values()) < 15


def test_index_alone_draws_a_seed_from_torch(video_dir):
    dataset = DATASETS.build(
        dict(
            type='dora_mm.WalkingToursVideoDataset',
            video=str(video_dir / 'good.mp4'),
            clip_len=2,
            frame_interval=1,
            pipeline=PIPELINE))
    torch.manual_seed(0)
    first, second = dataset[5], dataset[5]
    torch.manual_seed(0)
    again = dataset[5]
    assert first['data_samples'].seed != second['data_samples'].seed
    assert first['data_samples'].seed == again['data_samples'].seed
    assert torch.equal(first['inputs'], again['inputs'])
    explicit = dataset[(5, first['data_samples'].seed)]
    assert torch.equal(first['inputs'], explicit['inputs'])
    assert dataset.metainfo['videos'] == [str(video_dir / 'good.mp4')]


def test_replacement_is_deterministic_counted_and_logged(fake_files, caplog):
    root = fake_files(a=(1000, 10.))
    dataset = WalkingToursVideoDataset(
        root,
        clip_len=2,
        frame_interval=1,
        pipeline=[_Failing(lambda start: start < 500)])
    logger = MMLogger.get_instance('replacement')
    logger.addHandler(caplog.handler)
    caplog.clear()  # another test's logger may have it, too
    assert dataset[(600, 1)]['num_replaced'] == 0 and not caplog.records
    firsts = []
    for seed in range(30):
        result = dataset[(7, seed)]
        start = int(result['frame_indices'][0])
        assert start >= 500 and result['num_replaced'] >= 1
        assert result['seed'] == seed
        again = dataset[(7, seed)]
        assert int(again['frame_indices'][0]) == start
        firsts.append(start)
    assert len(set(firsts)) > 20  # not always the same one
    record = caplog.records[0]
    assert record.levelno == logging.WARNING
    assert 'a.mp4' in record.message and 'frame 7' in record.message
    assert 'Mend' in record.message


@pytest.mark.parametrize('num_workers', [0, 1])
def test_a_video_that_changes_under_a_run_ends_it(tmp_path, num_workers):
    """Clip after clip was replaced, and a worker named each nine times."""
    for name in 'abc':
        write_video(tmp_path / f'{name}.mp4', 40)
    dataset = WalkingToursVideoDataset(
        tmp_path,
        clip_len=2,
        frame_stride=1,
        pipeline=[dict(type='dora_mm.LoadClipFromVideo')])
    os.utime(tmp_path / 'b.mp4', ns=(0, 0))
    clips = iter(
        DataLoader(
            dataset, batch_size=None, shuffle=False, num_workers=num_workers))
    for _ in range(38):  # of a.mp4
        assert next(clips)['num_replaced'] == 0
    with pytest.raises(RuntimeError, match="b.mp4' must stay as it is while"):
        next(clips)


def test_number_of_replacements_is_bounded(fake_files):
    root = fake_files(a=(1000, 10.))
    tries = []
    dataset = WalkingToursVideoDataset(
        root,
        clip_len=2,
        frame_interval=1,
        max_replacements=3,
        pipeline=[_Failing(lambda start: tries.append(start) or True)])
    with pytest.raises(RuntimeError, match='4 clips in a row') as error:
        dataset[(7, 0)]
    assert len(tries) == 4
    for start in tries:
        assert f'from frame {start}: broken. Mend' in str(error.value)
    # A mistake in a transform is no damage of a file.
    dataset = WalkingToursVideoDataset(
        root, clip_len=2, frame_interval=1, pipeline=[lambda r: r['nothing']])
    with pytest.raises(KeyError):
        dataset[(7, 0)]


def test_file_shorter_than_a_clip(fake_files, caplog):
    root = fake_files(long=(71, 10.), short=(70, 10.))
    MMLogger.get_instance('short').addHandler(caplog.handler)
    dataset = WalkingToursVideoDataset(root, frame_interval=1)
    assert len(dataset) == 1
    assert 'short.mp4' in caplog.text and 'left out' in caplog.text
    assert '1 video, 1 clip, 0 s to open' in caplog.text
    with pytest.raises(ValueError, match='short.mp4.*70 frames.*clip_len'):
        WalkingToursVideoDataset(root / 'short.mp4', frame_interval=1)


@pytest.mark.filterwarnings('ignore:.*promises 200 frames')
def test_reader_refuses_at_init(video_dir):
    with pytest.raises(ValueError, match='truncated_faststart.mp4'):
        WalkingToursVideoDataset(
            video_dir / 'truncated_faststart.mp4',
            clip_len=2,
            frame_interval=1,
            pipeline=[
                dict(PIPELINE[0], reader=dict(type='DecordReader')),
                *PIPELINE[1:]
            ])
    with pytest.raises(ValueError, match='text.mp4.*cannot be opened'):
        WalkingToursVideoDataset(
            video_dir / 'text.mp4', clip_len=2, frame_interval=1)


@pytest.mark.parametrize('wrong, message', [
    (dict(), 'exactly one of'),
    (dict(frame_interval=1, frame_stride=2), 'exactly one of'),
    (dict(frame_interval=0), 'frame_interval.*0'),
    (dict(frame_interval=math.nan), 'frame_interval.*nan'),
    (dict(frame_interval=0.04), 'half a frame.*0.1000'),
    (dict(frame_stride=0), 'frame_stride.*0'),
    (dict(frame_stride=1.5), 'frame_stride.*1.5'),
    (dict(frame_stride=1, clip_len=0), 'clip_len.*0'),
    (dict(frame_stride=1, start_stride=0), 'start_stride.*0'),
    (dict(frame_stride=1, max_replacements=-1), 'max_replacements.*-1'),
])
def test_wrong_arguments_are_named(fake_files, wrong, message):
    root = fake_files(a=(1000, 10.))
    with pytest.raises(ValueError, match=message):
        WalkingToursVideoDataset(root, **wrong)


def test_video_files(tmp_path):
    names = ['walk10.mp4', 'walk2.MKV', 'b/walk1.webm', '.part.mp4', 'x.txt']
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = find_video_files(tmp_path)
    assert [str(Path(f).relative_to(tmp_path))
            for f in found] == ['b/walk1.webm', 'walk2.MKV', 'walk10.mp4']
    assert find_video_files(['b', 'x.txt'], tmp_path) == [
        str(tmp_path / 'b/walk1.webm'),
        str(tmp_path / 'x.txt')
    ]
    with pytest.raises(ValueError, match='nothing.mp4.*does not exist'):
        find_video_files('nothing.mp4', tmp_path)
    with pytest.raises(ValueError, match='empty list'):
        find_video_files([])
    with pytest.raises(TypeError, match='video.*3'):
        find_video_files(3)
    shutil.rmtree(tmp_path / 'b')
    (tmp_path / 'b').mkdir()
    with pytest.raises(ValueError, match='no video found.*mp4'):
        find_video_files('b', tmp_path)


def test_fps_is_read_from_each_file(tmp_path):
    for fps in (10, 24):
        write_video(tmp_path / f'{fps}.mp4', 60, fps=fps)
    dataset = WalkingToursVideoDataset(tmp_path, clip_len=2, frame_interval=1)
    steps = [
        int(np.diff(dataset.get_clip_info(i)['frame_indices'])[0])
        for i in range(len(dataset))
    ]
    assert steps == 50 * [10] + 36 * [24]


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f'the real videos are not in {DATA}')
def test_real_videos():
    pipeline = [PIPELINE[0], dict(PIPELINE[1], size=300), PIPELINE[2]]
    dataset = WalkingToursVideoDataset(
        DATA, frame_interval=0.5, pipeline=pipeline)
    frames = dict(bikes=250, driving=221, scenes14=1017)
    steps = dict(bikes=12, driving=12, scenes14=12)
    assert len(dataset) == sum(frames[v] - 7 * steps[v] for v in frames)
    item = dataset[(len(dataset) - 1, 0)]
    assert item['inputs'].shape == (8, 3, 300, 300)
    assert item['inputs'].is_contiguous()
    assert item['inputs'].float().std() > 10
    assert item['data_samples'].frame_indices[-1] == 1016
