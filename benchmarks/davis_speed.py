"""Frames per second of label propagation against DINO's protocol as written.

    python benchmarks/davis_speed.py VIDEO_FRAMES MASK [--frames 12]

Both segment the same frames with the same weights, in one run and one after
the other: 'plain' as the protocol is written, with attention matrices that
are kept whole, the exponential of all similarities, top-k across a strided
axis of the dense matrix, and the window filled in loops; 'ours' is
LabelPropagation. The two are run in turn --repeats times; the fastest of each
counts, and of the plain one's window, which is made once a video, the share
of a video of 69 frames (the mean of DAVIS-2017 val). Masks are compared pixel
by pixel. Decoding of the files is left out of both. With --dtype the backbone
of ours works in that precision. Seconds are CPU time of the process, which
other work on the machine disturbs least; with --device cuda they are the
clock's.
"""
import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from step_tools import describe

import dora_mm
from dora_mm.datasets.evaluation.davis_dataset import protocol_size
from dora_mm.models import LabelPropagation

MEAN = (123.675, 116.28, 103.53)
STD = (58.14, 57.12, 57.375)
FRAMES_A_VIDEO = 69


class PlainProtocol:
    """The protocol step by step, for one frame at a time."""

    def __init__(self, backbone, topk=5, radius=12, context=7):
        self.backbone = backbone
        self.topk, self.radius, self.context = topk, radius, context
        self.window_seconds = 0.

    def tokens(self, image):
        """(3, h, w) to (N, D); attention with its matrix of weights."""
        vit = self.backbone
        x, _ = vit._embed(image[None])
        for layer in vit.layers:
            attn, normed = layer.attn, layer.ln1(x)
            batch, num, width = normed.shape
            qkv = attn.qkv(normed).reshape(batch, num, 3, attn.num_heads,
                                           width // attn.num_heads)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            weights = (query @ key.transpose(-2, -1)) * key.shape[-1]**-0.5
            weights = weights.softmax(dim=-1)
            mixed = (weights @ value).transpose(1,
                                                2).reshape(batch, num, width)
            x = x + attn.proj(mixed)
            x = x + layer.ffn.layers(layer.ln2(x))
        return vit.ln1(x)[0, 1:]

    def window(self, rows, columns):
        """(N, N) of ones and zeros, patch by patch."""
        near = torch.zeros(rows, columns, rows, columns)
        reach = range(-self.radius, self.radius + 1)
        for i in range(rows):
            for j in range(columns):
                for di in reach:
                    for dj in reach:
                        if 0 <= i + di < rows and 0 <= j + dj < columns:
                            near[i, j, i + di, j + dj] = 1
        return near.reshape(rows * columns, rows * columns)

    def carry(self, target, sources, labels, near):
        """One frame's labels (C, h, w) by the dense matrix."""
        stack = F.normalize(torch.stack(sources), dim=1)  # (S, D, N)
        query = F.normalize(target, dim=1)[None].repeat(len(stack), 1, 1)
        weights = (query @ stack / 0.1).exp()
        weights *= near
        weights = weights.transpose(2, 1).reshape(-1, len(target))
        best, _ = weights.topk(self.topk, dim=0)
        weights[weights < best.min(dim=0)[0]] = 0
        weights = weights / weights.sum(dim=0, keepdim=True)
        flat = torch.stack(labels).flatten(2).permute(1, 0, 2).flatten(1)
        return (flat @ weights).unflatten(1, labels[0].shape[1:])

    @torch.no_grad()
    def segment(self, frames, first_mask):
        """All masks, uint8 (T, H, W)."""
        patch = self.backbone.patch_size
        device = self.backbone.cls_token.device
        rows, columns = (side // patch for side in frames.shape[2:])
        height, width = first_mask.shape
        small = np.array(
            Image.fromarray(first_mask.numpy()).resize((columns, rows), 0))
        classes = int(first_mask.max()) + 1
        labels = F.one_hot(torch.from_numpy(small).long(), classes)
        first = labels.permute(2, 0, 1).float().to(device)
        mean, std = (
            torch.tensor(v, device=device).reshape(3, 1, 1)
            for v in (MEAN, STD))
        start = now(device)
        near = self.window(rows, columns).to(device)
        self.window_seconds = now(device) - start
        start_tokens = self.tokens(
            (frames[0].to(device).float() - mean) / std).T
        queue, masks = [], [first_mask.numpy()]
        for frame in frames[1:]:
            target = self.tokens((frame.to(device).float() - mean) / std)
            found = self.carry(target,
                               [start_tokens] + [pair[0] for pair in queue],
                               [first] + [pair[1] for pair in queue], near)
            queue = (queue + [(target.T, found)])[-self.context:]
            scores = F.interpolate(
                found[None], scale_factor=patch, mode='bilinear')[0]
            for score in scores:
                if score.max() > 0:
                    score -= score.min()
                    score /= score.max()
            mask = scores.argmax(0).to(torch.uint8).cpu().numpy()
            masks.append(
                np.array(Image.fromarray(mask).resize((width, height), 0)))
        return torch.from_numpy(np.stack(masks))


def read(folder, mask, number):
    """Frames uint8 (T, 3, h, w) and the first mask."""
    frames = []
    for path in sorted(Path(folder).glob('*.jpg'))[:number]:
        image = cv2.imread(str(path))
        size = protocol_size(image.shape[:2])
        frames.append(cv2.resize(image, size[::-1])[..., ::-1].copy())
    truth = (np.array(Image.open(mask)) > 0).astype(np.uint8)
    frames = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    return frames.contiguous(), torch.from_numpy(truth)


def now(device):
    """Seconds: of the process, or by the clock when a GPU is done."""
    if device.type == 'cuda':
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def best_of(repeats, device, *functions):
    """Smallest seconds and the results, functions taking turns."""
    seconds, results = [[] for _ in functions], [None] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            start = now(device)
            results[i] = function()
            seconds[i].append(now(device) - start)
    return [min(values) for values in seconds], results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('frames', help='folder with JPEG frames')
    parser.add_argument('mask', help='mask of the first frame')
    parser.add_argument('--number', type=int, default=12)
    parser.add_argument('--repeats', type=int, default=2)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--source',
        default=dora_mm.config_path('dora/vit-s16_wt.py'),
        help='checkpoint, or config for random weights (default: ViT-S/16)')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--dtype',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='precision of the backbone of ours (default: float32)')
    parser.add_argument('--out', help='also write the figures to this JSON')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    frames, mask = read(args.frames, args.mask, args.number)
    ours = LabelPropagation(
        dict(type='dora_mm.load_backbone', source=args.source),
        MEAN,
        STD,
        dtype=args.dtype).eval().to(args.device)
    result = compare(ours, frames, mask, args)
    print(json.dumps(result, indent=2))
    if args.out:
        Path(args.out).write_text(json.dumps(result, indent=2))


def compare(ours, frames, mask, args):
    """Ours and the plain protocol in turn."""
    plain, device = PlainProtocol(ours.backbone), torch.device(args.device)
    if args.device == 'cuda':  # its first use takes seconds
        ours.segment(frames[:3], mask)
        plain.segment(frames[:3], mask)
    (slow, fast), (expected,
                   found) = best_of(args.repeats, device,
                                    lambda: plain.segment(frames, mask),
                                    lambda: ours.segment(frames, mask))
    # what a whole video's frames would share, and the first frame's tokens
    window = plain.window_seconds
    slow = (slow - window) / len(frames) + window / FRAMES_A_VIDEO
    fast = fast / len(frames)
    return dict(
        frames=len(frames),
        size=list(frames.shape[2:]),
        dtype=args.dtype,
        **describe(device),
        plain_fps=1 / slow,
        ours_fps=1 / fast,
        ratio=slow / fast,
        window_seconds=window,
        different_pixels=float((expected[1:] != found[1:]).float().mean()),
        propagation=propagation(ours, plain, args.repeats, device))


@torch.no_grad()
def propagation(ours, plain, repeats, device):
    """The step without the backbone: 8 sources of 480 x 832 pixels."""
    from dora_mm.models.evaluators.propagate_labels import (propagate_labels,
                                                            window_bias)
    grid, width = (30, 52), 384
    num = grid[0] * grid[1]
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(9, num, width, generator=generator).to(device)
    labels = torch.rand(8, num, 2, generator=generator).to(device)
    bias = window_bias(grid, ours.radius, device)
    near = (bias == 0).float()
    planes = list(labels.mT.unflatten(2, grid))
    sources = list(features[1:].mT)
    unit = F.normalize(features, dim=-1)
    (slow, fast), _ = best_of(
        3 * repeats, device,
        lambda: plain.carry(features[0], sources, planes, near),
        lambda: propagate_labels(unit[0], unit[1:], labels, bias))
    return dict(plain_ms=1e3 * slow, ours_ms=1e3 * fast, ratio=slow / fast)


if __name__ == '__main__':
    main()
