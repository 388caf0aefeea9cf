import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from torchvision.transforms import InterpolationMode

from dora_mm.models.data_preprocessors import ClipViewPreprocessor
from dora_mm.models.data_preprocessors.views import \
    per_image_views as per_image
from dora_mm.models.data_preprocessors.views.batched_views import batched_views
from dora_mm.models.data_preprocessors.views.photometric import \
    apply_photometric
from dora_mm.models.data_preprocessors.views.photometric_params import (
    NUM_PHOTOMETRIC_UNIFORMS, PhotometricParams)

RANGE = ((0.0, 2.0), (0.0, 2.0), (0.0, 2.0), (-0.5, 0.5))


def _images(num, size=24):
    """uint8 (num, size, size, 3): noise, greys, primaries and mixtures."""
    generator = np.random.default_rng(0)
    images = generator.integers(256, size=(num, size, size, 3), dtype=np.uint8)
    levels = np.array([0, 127, 128, 255], np.uint8)
    colors = np.stack(np.meshgrid(*[levels] * 3), -1).reshape(-1, 3)
    images[:, :3] = np.resize(colors, (3, size, 3))
    images[:, 3] = images[:, 3, :, :1]
    return images


def _clips(num, num_frames, size=300):
    """A blurred field with noise, where neighbours are as alike as in video.

    uint8 (num, num_frames, 3, size, size).
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(num * num_frames, 3, 12, 12, generator=generator)
    clips = torch.nn.functional.interpolate(
        coarse, (size, size), mode='bicubic')
    clips += 0.05 * torch.randn(clips.shape, generator=generator)
    clips = (clips.clamp(0, 1) * 255).round().to(torch.uint8)
    return clips.view(num, num_frames, 3, size, size)


def _chw(image):
    """Float image (H, W, 3) on 0 - 255 -> (3, H, W) on 0 - 1."""
    return torch.from_numpy(image).permute(2, 0, 1) / 255


@pytest.mark.parametrize('name,factors', [
    ('brightness', [0., 0.6, 1., 1.4]),
    ('contrast', [0., 0.6, 1., 1.4]),
    ('saturation', [0., 0.6, 1., 1.8]),
    ('hue', [-0.5, -0.1, -0.003, 0., 0.37, 0.5]),
])
def test_jitter_operations_equal_torchvision(name, factors):
    image = _images(1)[0].astype(np.float32)
    for factor in factors:
        ours = getattr(per_image, f'adjust_{name}')(image.copy(), factor)
        theirs = getattr(F, f'adjust_{name}')(_chw(image), factor)
        assert ours.dtype == np.float32  # not slowed down to double precision
        torch.testing.assert_close(_chw(ours), theirs, rtol=0, atol=1e-5)


def test_gray_blur_and_solarize_equal_torchvision():
    image = _images(1)[0].astype(np.float32)
    pairs = [(per_image.to_gray_rgb(image), F.rgb_to_grayscale(_chw(image),
                                                               3)),
             (per_image.solarize(image), F.solarize(_chw(image), 0.5))]
    for sigma in (0.1, 0.7, 2.0):
        pairs.append((per_image.gaussian_blur(image, sigma, 8),
                      F.gaussian_blur(_chw(image), [17] * 2, [sigma] * 2)))
    for ours, theirs in pairs:
        assert ours.dtype == np.float32
        torch.testing.assert_close(_chw(ours), theirs, rtol=0, atol=1e-5)


def test_colour_equals_that_of_a_batch():
    """Every operation in every order, with factors that make it clamp."""
    num = 64
    images = _images(num)
    generator = np.random.default_rng(1)
    half = np.full(num, 0.5)
    params = PhotometricParams.from_uniforms(
        generator.random((num, NUM_PHOTOMETRIC_UNIFORMS)), RANGE, 0.7, 0.3,
        half, (0.1, 2.0), half)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    batch = apply_photometric(batch.contiguous(), params, 2.0)
    for row, expected in enumerate(batch):
        ours = per_image.apply_photometric_image(
            images[row].astype(np.float32), params, row, 2.0)
        torch.testing.assert_close(_chw(ours), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('box', [(0, 0, 300, 300), (40, 7, 260, 200),
                                 (299, 0, 1, 300), (20, 30, 60, 50)])
def test_crop_equals_torchvision_but_for_rounding(box, interpolation, flip):
    frame = _clips(1, 1)[0, 0]
    before = frame.clone()
    ours = per_image.crop_resize_image(
        frame.permute(1, 2, 0).numpy(), box, 112, interpolation, flip)
    expected = F.resized_crop(frame.float(), *box, [112, 112],
                              InterpolationMode(interpolation)).clamp(0, 255)
    expected = expected.flip(-1) if flip else expected
    gap = (torch.from_numpy(ours).permute(2, 0, 1) - expected).abs()
    assert ours.dtype == np.uint8
    # A rounding after either axis, which a cubic's weights, above 1, widen.
    largest = 1.01 if interpolation == 'bilinear' else 2.5
    assert gap.max() < largest and gap.mean() < 0.4
    assert torch.equal(frame, before)


def test_views_equal_those_of_a_batch():
    """The recipe's views, every operation, in units of 1/255."""
    preprocessor = ClipViewPreprocessor(
        global_views=dict(blur_prob=0.5, solarize_prob=0.3),
        local_views=dict(flip_prob=0.5))
    clips, seeds = _clips(2, 3), [5, 2**63 + 1]
    before = clips.clone()
    for group in (preprocessor.global_views, preprocessor.local_views):
        draws = group.draw(seeds, 3, 300, 300)
        params = draws.params
        for flags in (params.jitter, params.gray, params.blur):
            assert 0 < flags.sum() < len(flags)
        arguments = clips, draws, preprocessor.mean, preprocessor.std
        views = per_image.per_image_views(*arguments)
        expected = batched_views(*arguments)
        assert views.shape == expected.shape and views.is_contiguous()
        assert views.dtype == torch.float32
        gap = (views - expected).abs() * preprocessor.std * 255
        assert gap.max() < 6 and gap.mean() < 0.4
    assert torch.equal(clips, before)


def test_layout_of_the_clips_does_not_matter():
    preprocessor = ClipViewPreprocessor(global_views=dict(size=32))
    clips = _clips(2, 3, 60)
    arguments = (preprocessor.global_views.draw([1, 2], 3, 60, 60),
                 preprocessor.mean, preprocessor.std)
    expected = per_image.per_image_views(clips, *arguments)
    frames_last = clips.permute(0, 2, 3, 4, 1).contiguous()
    channels_last = clips.permute(0, 1, 3, 4, 2).contiguous()
    for other in (frames_last.permute(0, 4, 1, 2,
                                      3), channels_last.permute(0, 1, 4, 2,
                                                                3)):
        assert torch.equal(
            per_image.per_image_views(other, *arguments), expected)
