import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from torchvision.transforms import InterpolationMode, RandomResizedCrop

from dora_mm.models.data_preprocessors.views.crop_resize import (
    crop_resize, resampling_matrix)
from dora_mm.models.data_preprocessors.views.view_params import (
    NUM_BOX_UNIFORMS, clip_uniforms, random_resized_boxes)

V, B, T, H, W = 2, 2, 3, 60, 72


def _random_boxes(generator, num_frames=T):
    size = torch.randint(1, H + 1, (V, B, num_frames, 2), generator=generator)
    room = torch.tensor([H, W]) - size + 1
    corner = (torch.rand(size.shape, generator=generator) * room).long()
    return torch.cat((corner, size), -1)


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('out_size', [9, 32, 80])
def test_equals_torchvision_antialiased(interpolation, out_size):
    generator = torch.Generator().manual_seed(out_size)
    clips = torch.randint(
        256, (B, T, 3, H, W), dtype=torch.uint8, generator=generator)
    boxes = _random_boxes(generator)
    flips = torch.rand(V, B, T, generator=generator) < 0.5
    assert 0 < flips.sum() < flips.numel()

    views = crop_resize(clips, boxes, out_size, interpolation, flips)

    assert views.shape == (V, B, T, 3, out_size, out_size)
    assert views.dtype == torch.float32 and views.is_contiguous()
    for v, b, t in np.ndindex(V, B, T):
        expected = F.resized_crop(
            clips[b, t].float() / 255,
            *boxes[v, b, t].tolist(), (out_size, out_size),
            interpolation=InterpolationMode(interpolation),
            antialias=True)
        if flips[v, b, t]:
            expected = F.horizontal_flip(expected)
        torch.testing.assert_close(
            views[v, b, t], expected.clamp(0, 1), rtol=1e-4, atol=1e-5)


def test_in_float16_less_than_half_of_a_level_is_lost():
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(
        256, (B, T, 3, H, W), dtype=torch.uint8, generator=generator)
    boxes = _random_boxes(generator)
    for size, interpolation in ((9, 'bilinear'), (80, 'bicubic')):
        exact, half = (
            crop_resize(clips, boxes, size, interpolation, dtype=dtype)
            for dtype in (torch.float32, torch.float16))
        assert half.dtype == torch.float32
        error = 255 * (half - exact).abs()
        assert error.mean() < 0.05 and error.max() < 0.4


def test_shared_boxes_equal_repeated_boxes():
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(
        256, (B, T, 3, H, W), dtype=torch.uint8, generator=generator)
    boxes = _random_boxes(generator, 1)
    flips = torch.tensor([[True, False], [False, True]])[..., None]

    shared = crop_resize(clips, boxes, 16, 'bilinear', flips)
    repeated = crop_resize(clips, boxes.expand(-1, -1, T, -1), 16, 'bilinear',
                           flips.expand(-1, -1, T))

    torch.testing.assert_close(shared, repeated, rtol=0, atol=1e-6)


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
def test_whole_axis_at_its_own_size_is_the_identity(interpolation):
    matrix = resampling_matrix(
        torch.tensor([0]), torch.tensor([50]), 50, 50, interpolation)
    torch.testing.assert_close(matrix[0], torch.eye(50), rtol=0, atol=1e-6)


@pytest.mark.parametrize('scale,size', [((0.4, 1.0), (300, 300)),
                                        ((0.05, 0.4), (300, 300)),
                                        ((0.5, 1.0), (200, 320))])
def test_box_law_is_torchvisions(scale, size):
    num, ratio = 3000, (3 / 4, 4 / 3)
    uniforms = np.random.default_rng(0).random((num, NUM_BOX_UNIFORMS))
    ours = random_resized_boxes(uniforms, *size, scale, ratio)

    torch.manual_seed(0)
    image = torch.zeros(3, *size)
    theirs = np.array([
        RandomResizedCrop.get_params(image, scale, ratio) for _ in range(num)
    ])

    assert (ours[:, :2] >= 0).all() and (ours[:, 2:] > 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= size).all()
    # Six standard errors of a difference of means; a quantile has more.
    error = 6 * np.sqrt(2 / num) * theirs.std(0)
    assert (abs(ours.mean(0) - theirs.mean(0)) < error).all()
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    gaps = np.quantile(ours, levels, 0) - np.quantile(theirs, levels, 0)
    assert (abs(gaps) < 3 * error + 1).all()
    for a, b in ((0, 2), (1, 3), (2, 3)):
        correlations = [np.corrcoef(x[:, a], x[:, b])[0, 1]
                        for x in (ours, theirs)]  # yapf: disable
        assert abs(np.diff(correlations)[0]) < 0.12


@pytest.mark.parametrize('size,expected', [
    ((100, 300), [0, 83, 100, 133]),
    ((300, 100), [83, 0, 133, 100]),
    ((90, 100), [0, 0, 90, 100]),
])
def test_box_falls_back_to_the_centre(size, expected):
    # No box of the full area with a ratio of at most 4/3 fits any of these.
    uniforms = np.full(NUM_BOX_UNIFORMS, 0.5)
    box = random_resized_boxes(uniforms, *size, (1.0, 1.0), (3 / 4, 4 / 3))
    assert box.tolist() == expected


def test_uniforms_are_keyed_by_the_whole_seed_and_the_stream():
    block = clip_uniforms([5, 6, 5 + 2**32, 5 + 2**62], 0, (3, 4))
    assert len({tuple(row.ravel()) for row in block}) == 4
    assert (block[0] != clip_uniforms([5], 1, (3, 4))[0]).all()
    for row, seed in zip(clip_uniforms([2**64 - 1, 5], 3, (7, )),
                         (2**64 - 1, 5)):
        philox = np.random.Philox(key=np.array([seed, 3], dtype=np.uint64))
        np.testing.assert_array_equal(row,
                                      np.random.Generator(philox).random(7))
    np.testing.assert_array_equal(
        clip_uniforms([6], 0, (2, 4))[0], block[1, :2])
