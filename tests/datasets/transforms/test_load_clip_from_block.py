import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader
from video_factory import read_number

from dora_mm.datasets import BlockClipSampler, WalkingToursVideoDataset
from dora_mm.datasets.transforms import LoadClipFromBlock
from dora_mm.video.readers import PyAVReader, VideoDecodeError

PIPELINE = [
    dict(type='dora_mm.LoadClipFromBlock', quality=100),
    dict(type='dora_mm.ClipRandomResizedCrop', size=24),
    dict(type='dora_mm.PackClipInputs')
]


def make_dataset(video_dir, name='good.mp4', pipeline=PIPELINE):
    return WalkingToursVideoDataset(
        video_dir / name, clip_len=3, frame_interval=1, pipeline=pipeline)


def make_sampler(dataset, **kwargs):
    settings = dict(
        batch_size=4, num_lanes=2, block_clips=30, active_blocks=2, seed=0)
    return BlockClipSampler(dataset, **dict(settings, **kwargs))


def load_all(dataset, num_workers, batch_size=4, **kwargs):
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=make_sampler(dataset, **kwargs),
        num_workers=num_workers,
        collate_fn=default_collate)
    return [(clip, sample.start_frame, sample.num_replaced) for batch in loader
            for clip, sample in zip(batch['inputs'], batch['data_samples'])]


def test_clips_are_those_of_the_whole_file(video_dir):
    dataset = make_dataset(video_dir, pipeline=PIPELINE[:1])
    exact = PyAVReader(str(video_dir / 'good.mp4'))
    for request in make_sampler(dataset):
        results = dataset[request]
        indices = results['frame_indices']
        assert results['clip'].dtype == np.uint8
        assert [read_number(f) for f in results['clip']] == indices.tolist()
        if request.index % 17 == 0:
            gap = results['clip'] - exact.get_frames(indices).astype(int)
            assert np.abs(gap).mean() < 4  # the loss of a JPEG


def test_clips_do_not_depend_on_the_number_of_workers(video_dir):
    dataset = make_dataset(video_dir)
    alone = load_all(dataset, 0)
    assert len(alone) == 184  # 180 clips, and what makes lanes even
    for num_workers in (1, 2):
        shared = load_all(dataset, num_workers)
        for (clip, *rest), (other, *other_rest) in zip(alone, shared):
            assert torch.equal(clip, other) and rest == other_rest


def test_every_block_is_decoded_once_and_ahead(video_dir, monkeypatch):
    decoded = []
    iter_frames = PyAVReader.iter_frames

    def spy(self, begin, end):
        for number, frame in iter_frames(self, begin, end):
            decoded.append((begin, number))
            yield number, frame

    monkeypatch.setattr(PyAVReader, 'iter_frames', spy)
    dataset = make_dataset(video_dir, pipeline=PIPELINE[:1])
    load = dataset.pipeline.transforms[0]
    sampler = make_sampler(dataset, num_lanes=1)
    costs = []
    for request in sampler:
        before = len(decoded)
        dataset[request]
        costs.append(len(decoded) - before)
        held, = load._held.values()
        assert len(held) <= 3  # two that are used and the next
    # 180 clips in 6 blocks of 50 frames.
    assert len(decoded) == len(set(decoded)) == 6 * 50
    # After the start no clip waits for more than a third of a block.
    assert max(costs[40:]) <= 17


def test_damaged_frames_are_replaced(video_dir):
    dataset = make_dataset(video_dir, 'zeroed_hole.mp4')
    clips = load_all(dataset, 0)
    num_replaced = [replaced for _, _, replaced in clips]
    assert 5 < sum(map(bool, num_replaced)) < 90
    assert load_all(dataset, 2)[40][1:] == clips[40][1:]


def test_sampler_and_loader_must_fit(video_dir):
    dataset = make_dataset(video_dir)
    with pytest.raises(ValueError, match='needs the blocks'):
        dataset[(3, 0)]
    with pytest.raises(ValueError, match='batch_size.*num_lanes'):
        load_all(dataset, 2, batch_size=8)
    with pytest.raises(ValueError, match='batch_size.*num_lanes'):
        load_all(dataset, 2, num_lanes=3)


def test_settings_and_files_are_checked(video_dir, video_classes):
    with pytest.raises(ValueError, match='short_side.*0'):
        LoadClipFromBlock(short_side=0)
    with pytest.raises(ValueError, match='quality.*101'):
        LoadClipFromBlock(quality=101)
    with pytest.raises(ValueError, match='MPEG-TS'):
        WalkingToursVideoDataset(
            video_classes['mpeg_ts'],
            clip_len=3,
            frame_interval=1,
            pipeline=PIPELINE)


def test_frames_do_not_travel_to_another_process(video_dir):
    dataset = make_dataset(video_dir, pipeline=PIPELINE[:1])
    load = dataset.pipeline.transforms[0]
    dataset[next(iter(make_sampler(dataset)))]
    assert load._held and not pickle.loads(pickle.dumps(load))._held
    assert re.match(r'LoadClipFromBlock\(short_side=600, quality=100\)',
                    repr(load))
    with pytest.raises(VideoDecodeError, match='good.mp4'):
        load._read(str(video_dir / 'good.mp4'), np.array([500]), [])
