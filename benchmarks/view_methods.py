"""The ways to make views that ``views.py`` compares, on one set of draws."""
import cv2
import numpy as np
import torch
import torchvision.transforms as v1
import torchvision.transforms.v2.functional as tv
from PIL import Image, ImageFilter
from torchvision.ops import roi_align
from torchvision.transforms import InterpolationMode

from dora_mm.models.data_preprocessors.views.batched_views import batched_views
from dora_mm.models.data_preprocessors.views.crop_resize import crop_resize
from dora_mm.models.data_preprocessors.views.per_image_views import (
    apply_photometric_image, crop_resize_image, per_image_views)
from dora_mm.models.data_preprocessors.views.photometric import \
    apply_photometric
from dora_mm.models.data_preprocessors.views.photometric_params import \
    JITTER_OPS

try:
    import kornia
except ImportError:
    kornia = None

# Cropping: every method returns (N, 3, S, S) in [0, 1].


def crop_batched(case, group):
    boxes, flips, _, _ = case.boxes[group]
    return crop_resize(case.clips,
                       torch.from_numpy(boxes).to(case.device), group.size,
                       group.interpolation,
                       torch.from_numpy(flips).to(case.device),
                       case.dtype).flatten(0, 2)


def crop_per_image(case, group):
    frames = [
        cv2.merge(list(frame)) for frame in case.clips.flatten(0, 1).numpy()
    ]
    views = [
        crop_resize_image(frames[i % len(frames)], box, group.size,
                          group.interpolation, flip)
        for i, (_, box, flip) in enumerate(case.each(group))
    ]
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2) / 255


def _crop_torchvision(case, group, to_float):
    mode = InterpolationMode(group.interpolation)
    views = []
    for frame, box, flip in case.each(group):
        frame = frame.float() / 255 if to_float else frame
        view = tv.resized_crop(
            frame, *box, [group.size] * 2, interpolation=mode, antialias=True)
        views.append(tv.horizontal_flip(view) if flip else view)
    views = torch.stack(views)
    return views.clamp_(0, 1) if to_float else views / 255


def crop_torchvision_float(case, group):
    return _crop_torchvision(case, group, True)


def crop_torchvision_uint8(case, group):
    return _crop_torchvision(case, group, False)


def _unflip(case, group, views):
    flips = case.boxes[group][3].reshape(-1)
    flips = torch.from_numpy(flips).to(views.device).view(-1, 1, 1, 1)
    return torch.where(flips, views.flip(-1), views).clamp(0, 1)


def crop_grid_sample(case, group):
    corners, frame = case.corners(group)
    x1, y1, x2, y2 = corners.unbind(1)
    theta = torch.zeros(len(corners), 2, 3, device=case.device)
    theta[:, 0, 0], theta[:, 0, 2] = (x2 - x1) / 300, (x1 + x2) / 300 - 1
    theta[:, 1, 1], theta[:, 1, 2] = (y2 - y1) / 300, (y1 + y2) / 300 - 1
    grid = torch.nn.functional.affine_grid(
        theta, (len(corners), 3, group.size, group.size), align_corners=False)
    pixels = (case.clips.flatten(0, 1).float() / 255)[frame]
    views = torch.nn.functional.grid_sample(
        pixels,
        grid,
        mode=group.interpolation,
        padding_mode='border',
        align_corners=False)
    return _unflip(case, group, views)


def crop_roi_align(case, group):
    corners, frame = case.corners(group)
    pixels = case.clips.flatten(0, 1).float() / 255
    rois = torch.cat((frame[:, None].float(), corners), 1)
    views = roi_align(pixels, rois, group.size, aligned=True)
    return _unflip(case, group, views)


def crop_kornia(case, group):
    corners, frame = case.corners(group)
    x1, y1, x2, y2 = corners.unbind(1)
    x2, y2 = x2 - 1, y2 - 1
    quads = torch.stack((x1, y1, x2, y1, x2, y2, x1, y2), 1).view(-1, 4, 2)
    pixels = (case.clips.flatten(0, 1).float() / 255)[frame]
    views = kornia.geometry.transform.crop_and_resize(
        pixels, quads, (group.size, group.size), mode=group.interpolation)
    return _unflip(case, group, views)


# Colour: every method takes and returns (N, 3, S, S) in [0, 1].


def color_batched(case, group, images):
    return apply_photometric(images, case.params[group], 2.0, case.dtype)


def color_per_image(case, group, images):
    images = images.permute(0, 2, 3, 1).contiguous().mul_(255).numpy()
    for i, image in enumerate(images):
        images[i] = apply_photometric_image(image, case.params[group], i, 2.0)
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 255


def _color_one(image, params, i):
    if params.jitter[i]:
        for op in params.order[i]:
            adjust = getattr(tv, f'adjust_{JITTER_OPS[op]}')
            image = adjust(image, params.factors[i, op])
    if params.gray[i]:
        image = tv.rgb_to_grayscale(image, 3)
    if params.blur[i]:
        image = tv.gaussian_blur(image, [17, 17], [float(params.sigma[i])] * 2)
    if params.solarize[i]:
        image = tv.solarize(image, 0.5 if image.is_floating_point() else 128)
    return image


def color_torchvision_float(case, group, images):
    params = case.params[group]
    return torch.stack(
        [_color_one(image, params, i) for i, image in enumerate(images)])


def color_torchvision_uint8(case, group, images):
    images = (images * 255).round().to(torch.uint8)
    return color_torchvision_float(case, group, images) / 255


def _kornia_operations(torchvision_like):
    enhance = kornia.enhance
    if torchvision_like:
        jitter = (enhance.adjust_brightness_accumulative,
                  enhance.adjust_contrast_with_mean_subtraction,
                  enhance.adjust_saturation_with_gray_subtraction)
    else:
        jitter = (lambda x, f: enhance.adjust_brightness(x, f - 1),
                  enhance.adjust_contrast, enhance.adjust_saturation)
    return (*jitter, lambda x, f: enhance.adjust_hue(x, f * 2 * np.pi))


def _color_kornia(case, group, images, torchvision_like):
    params = case.params[group]
    images = images.clone()

    def select(flags):
        index = torch.from_numpy(np.flatnonzero(flags)).to(case.device)
        return index, images.index_select(0, index)

    def values(array, flags):
        return torch.from_numpy(array[flags]).float().to(case.device)

    operations = _kornia_operations(torchvision_like)
    for slot in range(4):
        for op, adjust in enumerate(operations):
            flags = params.jitter & (params.order[:, slot] == op)
            index, chosen = select(flags)
            factor = values(params.factors[:, op], flags)
            if len(index):
                images[index] = adjust(chosen, factor)
    index, chosen = select(params.gray)
    if len(index):
        images[index] = kornia.color.rgb_to_grayscale(chosen).expand_as(chosen)
    index, chosen = select(params.blur)
    if len(index):
        sigma = values(params.sigma, params.blur)[:, None].expand(-1, 2)
        images[index] = kornia.filters.gaussian_blur2d(chosen, 17, sigma)
    return images


def color_kornia_alike(case, group, images):
    return _color_kornia(case, group, images, True)


def color_kornia_plain(case, group, images):
    return _color_kornia(case, group, images, False)


# The whole: from uint8 clips to normalised float views.


def _whole_ours(case, make):
    seeds = list(range(case.num_clips))
    shape = (case.clips.shape[1], *case.clips.shape[-2:])
    return [
        make(case.clips, group.draw(seeds, *shape), case.preprocessor.mean,
             case.preprocessor.std)
        for group in case.groups
    ]


def whole_batched(case):
    return _whole_ours(case, batched_views)


def whole_per_image(case):
    return _whole_ours(case, per_image_views)


def whole_torchvision_uint8(case):
    out = []
    for group in case.groups:
        views = crop_torchvision_uint8(case, group) * 255
        views = views.round().to(torch.uint8)
        views = color_torchvision_float(case, group, views) / 255
        out.append((views - case.preprocessor.mean) / case.preprocessor.std)
    return out


def _pil_one(frame, box, flip, params, i, group):
    image = v1.functional.resized_crop(frame, *box, [group.size] * 2,
                                       InterpolationMode(group.interpolation))
    image = v1.functional.hflip(image) if flip else image
    if params.jitter[i]:
        for op in params.order[i]:
            adjust = getattr(v1.functional, f'adjust_{JITTER_OPS[op]}')
            image = adjust(image, params.factors[i, op])
    if params.gray[i]:
        image = image.convert('L').convert('RGB')
    if params.blur[i]:
        image = image.filter(ImageFilter.GaussianBlur(float(params.sigma[i])))
    return v1.functional.to_tensor(image)


def whole_pil(case):
    frames = [
        Image.fromarray(frame.permute(1, 2, 0).numpy())
        for frame in case.clips.flatten(0, 1)
    ]
    out = []
    for group in case.groups:
        views = torch.stack([
            _pil_one(frames[i % len(frames)], box, flip, case.params[group], i,
                     group)
            for i, (_, box, flip) in enumerate(case.each(group))
        ])
        out.append((views - case.preprocessor.mean) / case.preprocessor.std)
    return out


def methods_by_stage(case):
    """Stage -> method -> function that makes all views of the case."""
    crops = dict(
        ours_batched=crop_batched,
        torchvision_float=crop_torchvision_float,
        torchvision_uint8=crop_torchvision_uint8,
        grid_sample=crop_grid_sample,
        roi_align=crop_roi_align)
    colors = dict(
        ours_batched=color_batched,
        torchvision_float=color_torchvision_float,
        torchvision_uint8=color_torchvision_uint8)
    wholes = dict(
        ours_batched=whole_batched, torchvision_uint8=whole_torchvision_uint8)
    if case.device.type == 'cpu':
        crops['ours_per_image'] = crop_per_image
        colors['ours_per_image'] = color_per_image
        wholes['ours_per_image'] = whole_per_image
        wholes['pil'] = whole_pil
    if kornia is not None:
        crops['kornia_crop_and_resize'] = crop_kornia
        colors['kornia_as_torchvision'] = color_kornia_alike
        colors['kornia_default'] = color_kornia_plain
    exact = [crop_torchvision_float(case, group) for group in case.groups]

    def run_crop(crop):
        return [crop(case, group) for group in case.groups]

    def run_color(color):
        # A copy, since ours works in place; part of every method's time.
        return [
            color(case, group, images.clone())
            for group, images in zip(case.groups, exact)
        ]

    return dict(
        crop={
            k: (lambda f=f: run_crop(f))
            for k, f in crops.items()
        },
        colour={
            k: (lambda f=f: run_color(f))
            for k, f in colors.items()
        },
        whole={
            k: (lambda f=f: f(case))
            for k, f in wholes.items()
        })
