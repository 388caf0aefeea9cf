from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import TRANSFORMS
from torchvision.transforms import RandomResizedCrop
from video_factory import read_number

from dora_mm.datasets.transforms import (ClipRandomResizedCrop,
                                         LoadClipFromVideo, PackClipInputs)
from dora_mm.video.readers import VideoInfo


def kolmogorov_smirnov(first, second):
    """Largest distance between two empirical distributions."""
    values = np.concatenate([first, second])
    cdfs = [
        np.searchsorted(np.sort(x), values, side='right') / len(x)
        for x in (first, second)
    ]
    return np.abs(cdfs[0] - cdfs[1]).max()


@pytest.mark.parametrize('size, scale, ratio', [
    ((480, 854), (0.2, 1.0), (3 / 4, 4 / 3)),
    ((64, 48), (0.05, 0.4), (3 / 4, 4 / 3)),
    ((100, 400), (0.5, 1.0), (0.5, 1.0)),
])
def test_boxes_are_distributed_as_torchvision_s(size, scale, ratio):
    height, width = size
    num = 3000
    crop = ClipRandomResizedCrop(scale=scale, ratio=ratio)
    ours = np.array(
        [crop.draw_box(height, width, seed) for seed in range(num)])
    torch.manual_seed(0)
    image = torch.empty(1, height, width)
    theirs = np.array([
        RandomResizedCrop.get_params(image, list(scale), list(ratio))
        for _ in range(num)
    ])[:, [1, 0, 3, 2]]  # from (y, x, h, w)
    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] > 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= [width, height]).all()

    def features(b):
        yield from b.T  # x, y, w, h
        yield b[:, 2] * b[:, 3]
        yield b[:, 2] / b[:, 3]
        # Where the box lies within its room, 0 to 1.
        yield b[:, 0] / np.maximum(1, width - b[:, 2])

    # Critical value of two samples at the level 1e-4.
    bound = 2.23 * (2 / num)**0.5
    for first, second in zip(features(ours), features(theirs)):
        assert kolmogorov_smirnov(first, second) < bound


def test_test_above_can_fail():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0, 1, 3000), rng.uniform(0, 1, 3000)**1.2
    assert kolmogorov_smirnov(first, second) > 2.23 * (2 / 3000)**0.5


@pytest.mark.parametrize('height, width', [(10, 1000), (1000, 10)])
def test_fallback_is_torchvision_s_central_box(height, width):
    crop = ClipRandomResizedCrop(scale=(0.9, 1.0))
    x, y, w, h = crop.draw_box(height, width, seed=0)
    image = torch.empty(1, height, width)
    box = RandomResizedCrop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3])
    assert (y, x, h, w) == tuple(box)


def test_fallback_of_a_tiny_frame_has_pixels():
    """Rounded to no rows at all, it could not be resized."""
    crop = ClipRandomResizedCrop(size=4, scale=(1, 1), ratio=(10, 10))
    results = crop(dict(clip=np.full((1, 3, 3, 3), 7, np.uint8), seed=0))
    assert results['crop_box'] == (0, 1, 3, 1)
    assert (results['clip'] == 7).all()


def naive_resize(frame, size):
    """Antialiased bilinear resize, in loops over the result."""
    height, width = frame.shape[:2]
    out = np.zeros((size, size, 3))
    for i in range(size):
        for j in range(size):
            rows = triangle(i, height / size, height)
            cols = triangle(j, width / size, width)
            out[i, j] = np.einsum('h,w,hwc->c', rows, cols, frame)
    return out


def triangle(index, scale, length):
    """Weights of the source pixels in target pixel ``index``, sum 1."""
    distance = np.arange(length) + 0.5 - (index + 0.5) * scale
    weights = np.clip(1 - np.abs(distance) / max(scale, 1), 0, None)
    return weights / weights.sum()


def test_one_box_for_the_whole_clip_antialiased():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (3, 90, 120, 3), dtype=np.uint8)
    crop = ClipRandomResizedCrop(size=16, scale=(0.3, 0.6))
    results = crop(dict(clip=clip, seed=11))
    x, y, w, h = results['crop_box']
    assert (x, y, w, h) == crop.draw_box(90, 120, 11)
    assert results['clip'].shape == (3, 16, 16, 3)
    assert results['clip'].dtype == np.uint8
    for frame, small in zip(clip, results['clip']):
        slow = naive_resize(frame[y:y + h, x:x + w].astype(float), 16)
        assert np.abs(slow - small).max() <= 1


def test_enlarging_is_bilinear_and_full_box_is_the_identity():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    full = ClipRandomResizedCrop(size=20, scale=(1, 1), ratio=(1, 1))
    assert np.array_equal(full(dict(clip=clip, seed=0))['clip'], clip)
    large = ClipRandomResizedCrop(size=50, scale=(1, 1), ratio=(1, 1))
    enlarged = large(dict(clip=clip, seed=0))['clip']
    for frame, big in zip(clip, enlarged):
        assert np.abs(naive_resize(frame.astype(float), 50) - big).max() < 1.01


def test_shrinking_does_not_alias():
    # A pattern finer than a pixel of the result must become flat grey.
    clip = np.zeros((1, 400, 400, 3), np.uint8)
    clip[:, ::2] = 255
    crop = ClipRandomResizedCrop(size=100, scale=(0.9, 1), ratio=(1, 1))
    result = crop(dict(clip=clip, seed=0))['clip'].astype(float)
    # cv2's own bilinear resize leaves stripes of 0 and 255 nearly.
    naive = cv2.resize(clip[0, :391], (100, 100)).astype(float)
    assert result.std() < 15 < 60 < naive.std()


def test_crop_refuses_wrong_arguments():
    for wrong, message in ((dict(size=0), 'size.*0'), (dict(scale=(0, 1)),
                                                       r'scale.*\(0, 1\)'),
                           (dict(scale=(0.5, 1.1)), 'scale.*1.1'),
                           (dict(ratio=(2, 1)), r'ratio.*\(2, 1\)')):
        with pytest.raises(ValueError, match=message):
            ClipRandomResizedCrop(**wrong)


def test_load_clip(video_dir):
    load = TRANSFORMS.build(dict(type='dora_mm.LoadClipFromVideo'))
    indices = np.array([3, 150, 9])
    for name in ('good.mp4', 'fast.mp4', 'good.mp4'):
        results = load(
            dict(video_path=str(video_dir / name), frame_indices=indices))
        assert [read_number(f) for f in results['clip']] == [3, 150, 9]
    assert len(load.pool) == 2
    assert 'max_open_files=4' in repr(load)
    with pytest.raises(ValueError, match='max_open'):
        LoadClipFromVideo(max_open_files=0)


def test_pack():
    clip = np.random.default_rng(0).integers(
        0, 256, (2, 5, 6, 3), dtype=np.uint8)
    packed = PackClipInputs()(
        dict(
            clip=clip,
            video_path='a.mp4',
            frame_indices=np.array([4, 9]),
            fps=5.,
            seed=2**62 + 1))
    inputs, sample = packed['inputs'], packed['data_samples']
    assert set(packed) == {'inputs', 'data_samples'}
    assert inputs.dtype == torch.uint8 and inputs.is_contiguous()
    for t in range(2):
        for channel in range(3):
            assert np.array_equal(inputs[t, channel], clip[t, :, :, channel])
    assert set(sample.metainfo_keys()) == {
        'video_path', 'frame_indices', 'start_frame', 'seed', 'num_replaced'
    }
    assert sample.video_path == 'a.mp4' and sample.start_frame == 4
    assert sample.seed == 2**62 + 1 and sample.num_replaced == 0
    assert sample.frame_indices.tolist() == [4, 9]


def test_large_original_is_warned_of(tmp_path, caplog):
    path = tmp_path / 'walk.mp4'
    path.touch()
    info = VideoInfo(str(path), 1000, 60., 'h264', num_bytes=11 << 30)
    MMLogger.get_instance('large').addHandler(caplog.handler)
    load = LoadClipFromVideo(reader=dict(type='PyAVReader'))
    load.check_video(info)
    assert 'tools/prepare_video.py' in caplog.text
    caplog.clear()
    load.check_video(replace(info, num_bytes=1 << 20))
    assert not caplog.text


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_planes_of_a_packed_clip(channels):
    """Also of a clip that is turned, and of more planes than colours."""
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (2, 9, 14, channels), np.uint8)
    results = dict(video_path='v', frame_indices=[0, 1], seed=0)
    for frames in (clip, clip[:, :, ::-1], clip[..., ::-1]):
        inputs = PackClipInputs()(dict(results, clip=frames))['inputs']
        assert np.array_equal(inputs, frames.transpose(0, 3, 1, 2))
