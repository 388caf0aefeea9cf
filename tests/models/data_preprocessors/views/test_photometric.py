import math

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image, ImageFilter, ImageOps

from dora_mm.models.data_preprocessors.views import photometric as P
from dora_mm.models.data_preprocessors.views.photometric_params import (
    JITTER_OPS, NUM_PHOTOMETRIC_UNIFORMS, PhotometricParams)

RANGE = ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1))


def _images(num=4, size=24, seed=0):
    """Random colours, and pixels where the formulas could break."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(num, 3, size, size, generator=generator)
    corners = torch.cartesian_prod(*[torch.tensor([0., .5, 1.])] * 3)
    images[:, :, 0, :27] = corners.T[:, :size]  # black, white, primaries
    images[:, :, 1] = images[:, :1, 1]  # greys
    return images


def _column(values):
    return torch.tensor(values).view(-1, 1, 1, 1)


@pytest.mark.parametrize('name,factors', [
    ('brightness', [0., 0.6, 1., 1.4]),
    ('contrast', [0., 0.6, 1., 1.4]),
    ('saturation', [0., 0.6, 1., 1.8]),
    ('hue', [-0.5, -0.1, 0., 0.37]),
])
def test_jitter_operations_equal_torchvision(name, factors):
    images = _images()
    num = len(images)
    neutral = np.tile([1.0, 1.0, 1.0, 0.0], (num, 1))
    neutral[:, JITTER_OPS.index(name)] = factors
    never = np.zeros(num, bool)
    params = PhotometricParams(~never, np.tile(range(4), (num, 1)), neutral,
                               never, never, np.ones(num), never)
    ours = P.apply_photometric(images.clone(), params, 2.0)
    reference = getattr(F, f'adjust_{name}')
    for image, factor, result in zip(images, factors, ours):
        torch.testing.assert_close(
            result, reference(image, factor), rtol=0, atol=1e-5)


def test_gray_equals_torchvision():
    images = _images()
    torch.testing.assert_close(
        P.to_gray_rgb(images),
        F.rgb_to_grayscale(images, 3),
        rtol=0,
        atol=1e-6)


def test_solarize_equals_pil_on_8_bit_values():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.array(ImageOps.solarize(Image.fromarray(values), 128))
    ours = P.solarize(torch.from_numpy(values)[None, None] / 255)
    assert (np.rint(ours[0, 0].numpy() * 255) == expected).all()


@pytest.mark.parametrize('sigma', [0.1, 0.7, 2.0])
def test_blur_equals_loops_and_torchvision(sigma):
    size, radius = 12, 8
    image = _images(1, size)[0]
    weights = [math.exp(-k * k / (2 * sigma**2)) for k in range(-8, 9)]
    expected = image.double()
    for axis in (1, 2):
        source, expected = expected, torch.zeros_like(expected)
        for i in range(size):
            for k, weight in zip(range(-radius, radius + 1), weights):
                j = abs(i + k)  # mirrored without repeating the edge
                j = min(j, 2 * (size - 1) - j)
                expected.select(axis, i).add_(
                    source.select(axis, j), alpha=weight / sum(weights))

    ours = P.gaussian_blur(
        torch.stack((image, image)), _column([sigma, 1.0]), radius)
    torch.testing.assert_close(ours[0], expected.float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        ours[0],
        F.gaussian_blur(image, [2 * radius + 1] * 2, [sigma] * 2),
        rtol=0,
        atol=1e-5)
    half = P.gaussian_blur(image[None], _column([sigma]), radius,
                           torch.float16)
    assert half.dtype == torch.float32
    torch.testing.assert_close(
        half[0], expected.float(), rtol=0, atol=0.2 / 255)


def test_blur_is_near_pils():
    image = torch.randint(
        256, (64, 64, 3),
        dtype=torch.uint8,
        generator=torch.Generator().manual_seed(0))
    tensor = image.permute(2, 0, 1)[None] / 255
    pil = Image.fromarray(image.numpy())
    for sigma in (0.5, 1.0, 2.0):
        theirs = np.array(pil.filter(ImageFilter.GaussianBlur(sigma)))
        ours = P.gaussian_blur(tensor, _column([sigma]), P.blur_radius(2.0))
        ours = ours[0].permute(1, 2, 0).numpy() * 255
        error = np.abs(ours - theirs)[8:-8, 8:-8]
        # On white noise, the worst case; the blur itself changes 27 to 62.
        assert error.mean() < 1.5, sigma


def _reference(image, params, i):
    """One image through torchvision, an operation at a time."""
    if params.jitter[i]:
        for op in params.order[i]:
            function = getattr(F, f'adjust_{JITTER_OPS[op]}')
            image = function(image, params.factors[i, op])
    if params.gray[i]:
        image = F.rgb_to_grayscale(image, 3)
    if params.blur[i]:
        image = F.gaussian_blur(image, [17, 17], [params.sigma[i]] * 2)
    if params.solarize[i]:
        image = torch.where(image >= 0.5, 1 - image, image)
    return image


def test_batch_equals_one_image_at_a_time():
    num = 24
    images = _images(num)
    uniforms = np.random.default_rng(0).random((num, NUM_PHOTOMETRIC_UNIFORMS))
    half = np.full(num, 0.5)
    # No solarise: a rounding error beside the threshold would flip a pixel.
    params = PhotometricParams.from_uniforms(uniforms, RANGE, 0.7, 0.3, half,
                                             (0.1, 2.0), 0 * half)
    assert len({tuple(order) for order in params.order}) > 10

    ours = P.apply_photometric(images.clone(), params, 2.0)

    for i in range(num):
        torch.testing.assert_close(
            ours[i], _reference(images[i], params, i), rtol=0, atol=1e-4)


def test_nothing_drawn_leaves_the_images_alone():
    images = _images()
    never = np.zeros(4)
    params = PhotometricParams.from_uniforms(
        np.random.default_rng(0).random((4, NUM_PHOTOMETRIC_UNIFORMS)), RANGE,
        0.0, 0.0, never, (0.1, 2.0), never)
    assert torch.equal(
        P.apply_photometric(images.clone(), params, 2.0), images)


def test_law_of_the_parameters():
    num = 20000
    uniforms = np.random.default_rng(0).random((num, NUM_PHOTOMETRIC_UNIFORMS))
    blur_prob = np.repeat([0.1, 0.9], num // 2)
    params = PhotometricParams.from_uniforms(uniforms, RANGE, 0.8, 0.2,
                                             blur_prob, (0.1, 2.0),
                                             1 - blur_prob)
    tolerance = 0.02  # over four standard errors of each frequency below
    assert abs(params.jitter.mean() - 0.8) < tolerance
    assert abs(params.gray.mean() - 0.2) < tolerance
    for flags, prob in ((params.blur, blur_prob), (params.solarize,
                                                   1 - blur_prob)):
        for part in (slice(None, num // 2), slice(num // 2, None)):
            assert abs(flags[part].mean() - prob[part][0]) < tolerance
    assert params.sigma.min() >= 0.1 and params.sigma.max() <= 2.0
    assert abs(params.sigma.mean() - 1.05) < tolerance
    for factors, (low, high) in zip(params.factors.T, RANGE):
        assert low <= factors.min() < low + 0.01
        assert high - 0.01 < factors.max() <= high
        assert abs(factors.mean() - (low + high) / 2) < tolerance
    _, counts = np.unique(params.order, axis=0, return_counts=True)
    assert len(counts) == 24  # every order, equally often
    assert abs(counts / num * 24 - 1).max() < 0.2
    flags = np.stack((params.jitter, params.gray, params.blur), 0)
    assert abs(np.corrcoef(flags)[0, 1]) < tolerance
