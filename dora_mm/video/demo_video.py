"""A small video with objects to track, made from nothing but a seed.

Textured objects of several shapes move, turn, change their size and pass in
front of each other over a textured street of houses; the camera pans and
shakes. It stands in for a real video in demos and tests.
"""
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Iterator, List, Tuple, Union

import cv2
import numpy as np

from .write_video import write_video

_PALETTE = np.array([(214, 62, 52), (242, 186, 40), (46, 132, 196),
                     (88, 168, 86), (150, 84, 170), (236, 120, 44),
                     (236, 232, 222), (40, 44, 60)], np.float32)
_SHAPES = ('disc', 'box', 'star', 'ring', 'triangle', 'blob')


@dataclass
class _MovingObject:
    """A sprite and its path; lengths in frame heights, times in seconds."""
    sprite: np.ndarray  # (S, S, 4) float32, RGB in [0, 255], alpha in [0, 1]
    centre: Tuple[float, float]
    swing: Tuple[float, float]
    period: Tuple[float, float]
    phase: Tuple[float, float]
    size: float
    spin: float
    zoom_period: float


def _noise(rng: np.random.Generator, height: int, width: int,
           cell: int) -> np.ndarray:
    """Smooth noise in [0, 1] with the given cell size, (height, width)."""
    total = np.zeros((height, width), np.float32)
    weight = 1.
    while cell >= 2:
        grid = rng.random((height // cell + 2, width // cell + 2), np.float32)
        total += weight * cv2.resize(
            grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
        cell //= 2
    return cv2.normalize(total, None, 0., 1., cv2.NORM_MINMAX)


def _shape_mask(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Antialiased mask of a shape, float32 (size, size) in [0, 1]."""
    big = 4 * size
    canvas = np.zeros((big, big), np.uint8)
    middle, radius = big / 2, 0.46 * big
    if kind == 'disc' or kind == 'ring':
        cv2.circle(canvas, (big // 2, big // 2), int(radius), 255, -1)
        if kind == 'ring':
            cv2.circle(canvas, (big // 2, big // 2), int(0.45 * radius), 0, -1)
    else:
        if kind == 'box':
            angles = np.deg2rad([40, 140, 220, 320])
            radii = np.ones(4)
        elif kind == 'triangle':
            angles = np.deg2rad([-90, 30, 150])
            radii = np.ones(3)
        elif kind == 'star':
            angles = np.arange(10) * math.pi / 5 - math.pi / 2
            radii = np.where(np.arange(10) % 2 == 0, 1., 0.5)
        else:
            angles = np.arange(72) * math.pi / 36
            waves = [(n, rng.uniform(0, 2 * math.pi)) for n in (2, 3, 5)]
            radii = 0.78 + sum(0.2 / n * np.cos(n * angles + phase)
                               for n, phase in waves)
        points = middle + radius * np.stack(
            [radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        cv2.fillPoly(canvas, [points.astype(np.int32)], 255)
    mask = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return mask.astype(np.float32) / 255


def _texture(number: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Two-coloured texture, float32 (size, size, 3) in [0, 255]."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    kind = number % 5
    if kind == 0:
        pattern = (np.sin(2 * math.pi * 5 * (x + 0.6 * y)) > 0)
    elif kind == 1:
        pattern = ((np.floor(x * 6) + np.floor(y * 6)) % 2) > 0
    elif kind == 2:
        pattern = ((x * 6 % 1 - 0.5)**2 + (y * 6 % 1 - 0.5)**2) < 0.09
    elif kind == 3:
        pattern = np.sin(2 * math.pi * 7 * np.hypot(x - 0.5, y - 0.5)) > 0
    else:
        pattern = _noise(rng, size, size, size // 4) > 0.5
    first = _PALETTE[number % len(_PALETTE)]
    second = _PALETTE[(number + 3 + number // 5) % len(_PALETTE)]
    share = cv2.GaussianBlur(pattern.astype(np.float32), (0, 0), size / 200)
    colour = first + share[..., None] * (second - first)
    grain = 0.75 + 0.5 * _noise(rng, size, size, max(4, size // 6))
    # Light from above gives each object a roundness of its own.
    light = 1.12 - 0.4 * y
    return np.clip(colour * (grain * light)[..., None], 0, 255)


def _make_objects(rng: np.random.Generator, number: int,
                  height: int) -> List[_MovingObject]:
    side = 2 * (height // 3)
    objects = []
    for i in range(number):
        texture = _texture(i, side, rng)
        mask = _shape_mask(_SHAPES[i % len(_SHAPES)], side, rng)
        # A darker rim keeps an object apart from what it passes.
        inner = cv2.erode(mask, np.ones((3, 3)), iterations=max(1, side // 80))
        texture = texture * (0.35 + 0.65 * inner[..., None])
        objects.append(
            _MovingObject(
                sprite=np.dstack([texture, mask]).astype(np.float32),
                centre=(rng.uniform(0.5, 1.3), rng.uniform(0.35, 0.7)),
                swing=(rng.uniform(0.45, 0.75), rng.uniform(0.1, 0.28)),
                period=(rng.uniform(9, 17), rng.uniform(6, 13)),
                phase=tuple(rng.uniform(0, 2 * math.pi, 3)),
                size=(0.24 + 0.26 * i / max(1, number - 1)),
                spin=rng.uniform(-0.35, 0.35),
                zoom_period=rng.uniform(8, 14)))
    return objects


def _make_background(rng: np.random.Generator, height: int,
                     width: int) -> np.ndarray:
    """Sky, a row of houses with windows, and a road: uint8 (H, W, 3)."""
    horizon, kerb = int(0.3 * height), int(0.72 * height)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = np.array([150, 178, 205]) + rows * np.array([70, 50, 20])
    image = np.repeat(image, width, axis=1).astype(np.float32)
    left = 0
    while left < width:
        right = left + int(rng.uniform(0.3, 0.75) * height)
        top = int(rng.uniform(0.02, 0.85) * horizon)
        wall = rng.uniform(95, 190) + rng.uniform(-28, 28, 3)
        image[top:kerb, left:right] = wall
        cell = max(6, int(rng.uniform(0.07, 0.12) * height))
        glass = wall * rng.uniform(0.35, 0.6)
        for y in range(top + cell // 2, kerb - cell, cell):
            for x in range(left + cell // 2, min(right, width) - cell, cell):
                shade = rng.uniform(0.8, 1.25)
                image[y:y + int(0.6 * cell), x:x + int(0.5 * cell)] = \
                    glass * shade
        left = right
    image[kerb:] = (112, 108, 104)
    for x in range(0, width, height // 3):
        line = int(0.88 * height)
        image[line:line + height // 50, x:x + height // 6] = (215, 212, 200)
    image[kerb:kerb + height // 60] = (70, 68, 66)
    grain = _noise(rng, height, width, height // 6)
    fine = rng.normal(1, 0.04, (height, width)).astype(np.float32)
    image *= ((0.8 + 0.4 * grain) * fine)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _paint(frame: np.ndarray, item: _MovingObject, time: float,
           offset: np.ndarray) -> None:
    """Draw an object into a float frame (H, W, 3), in place."""
    height, width = frame.shape[:2]
    turns = [
        2 * math.pi * time / p + a for p, a in zip(item.period, item.phase)
    ]
    centre = np.array([
        item.centre[0] + item.swing[0] * math.sin(turns[0]),
        item.centre[1] + item.swing[1] * math.sin(turns[1])
    ]) * height + offset
    zoom = 1 + 0.3 * math.sin(2 * math.pi * time / item.zoom_period +
                              item.phase[2])
    side = item.sprite.shape[0]
    scale = item.size * zoom * height / side
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2),
                                     math.degrees(item.spin * time), scale)
    matrix[:, 2] += centre - side / 2
    # A source smaller than the target is rare, so linear does not alias much.
    layer = cv2.warpAffine(item.sprite, matrix, (width, height))
    alpha = layer[..., 3:]
    shift = np.float32([[1, 0, 0.02 * height], [0, 1, 0.03 * height]])
    shadow = cv2.GaussianBlur(
        cv2.warpAffine(layer[..., 3], shift, (width, height)), (0, 0),
        0.012 * height)
    frame *= 1 - 0.45 * shadow[..., None]
    frame *= 1 - alpha
    frame += alpha * layer[..., :3]


def demo_frames(num_frames: int = 480,
                size: Tuple[int, int] = (480, 270),
                fps: int = 24,
                num_objects: int = 6,
                seed: int = 0) -> Iterator[np.ndarray]:
    """Render the frames of the demo video.

    Args:
        num_frames (int): Number of frames. Defaults to 480.
        size (tuple[int, int]): Width and height in pixels, both even and at
            least 64. Defaults to (480, 270).
        fps (int): Frames per second, which sets how far things move from one
            frame to the next. Defaults to 24.
        num_objects (int): Number of objects. Defaults to 6.
        seed (int): Seed of all that is random. Defaults to 0.

    Yields:
        np.ndarray: RGB frame, uint8 (height, width, 3).

    Raises:
        ValueError: If an argument is out of range.
    """
    width, height = size
    if min(size) < 64 or width % 2 or height % 2:
        raise ValueError('size must be an even width and height of at least '
                         f'64 pixels, but got {size}')
    if min(num_frames, fps, num_objects) < 1:
        raise ValueError(
            'num_frames, fps and num_objects must be at least 1, but '
            f'got {num_frames}, {fps} and {num_objects}')
    rng = np.random.default_rng(seed)
    margin = height // 8
    street = _make_background(rng, height + 2 * margin, 3 * width + 2 * margin)
    objects = _make_objects(rng, num_objects, height)
    shake = rng.uniform(0, 2 * math.pi, (2, 3))
    for number in range(num_frames):
        time = number / fps
        # From the left end of the street to the right one and back.
        pan = (1 - math.cos(2 * math.pi * time / 40)) * width
        waves = np.sin(2 * math.pi * time * np.array([0.7, 1.3, 2.9]) + shake)
        offset = 0.012 * height * (waves * [1, 0.6, 0.25]).sum(axis=1)
        matrix = np.float32([[1, 0, offset[0] - margin - pan],
                             [0, 1, offset[1] - margin]])
        frame = cv2.warpAffine(street, matrix, (width, height))
        frame = frame.astype(np.float32)
        for item in objects:
            _paint(frame, item, time, offset * 1.5)
        yield np.clip(frame, 0, 255).astype(np.uint8)


def make_demo_video(path: Union[str, os.PathLike],
                    num_frames: int = 480,
                    size: Tuple[int, int] = (480, 270),
                    fps: int = 24,
                    num_objects: int = 6,
                    seed: int = 0) -> Path:
    """Write the demo video as H.264.

    The file appears only when it is complete. The same arguments give the
    same frames; x264 does not always encode them to the same bytes.

    Args:
        path (str | Path): File to write, with the extension ``.mp4``.
        num_frames (int): See :func:`demo_frames`, as are those below.
        size (tuple[int, int]): Width and height in pixels.
        fps (int): Frames per second.
        num_objects (int): Number of objects.
        seed (int): Seed of all that is random.

    Returns:
        Path: The file.

    Raises:
        ValueError: If an argument is out of range.
    """
    path = Path(path)
    if path.suffix != '.mp4':
        raise ValueError(f'path must end in .mp4, but got {str(path)!r}')
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = demo_frames(num_frames, size, fps, num_objects, seed)
    write_video(path, frames, Fraction(fps), gop=48)
    return path
