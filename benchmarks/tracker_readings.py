"""What each reading of the tracker does: the paper leaves several open.

    python benchmarks/tracker_readings.py VIDEO [VIDEO ...]
    python benchmarks/tracker_readings.py VIDEO --model RUN/iter_N.pth

Two tables. Of a network, by default the main config's with random weights:
overlap of two objects before and after Sinkhorn-Knopp, effective share
(exp(entropy) / N) of a track, coverage of its mask, error of the plan's column
sums, and how much a mask in bf16 overlaps that in float32. Of pseudo-objects
in place of a network's features: IoU of a mask with the object that its head
attends to. The second says what a reading can do, not what a network learns.

Letters: T frames, K objects, H heads, N patches, D channels.
"""
import argparse
import itertools
from typing import Dict, List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from torch import Tensor

from dora_mm import config_path
from dora_mm.datasets.transforms import MultiObjectMaskTransform
from dora_mm.models import DoRA, ModelLoader, SinkhornPrototypeHead
from dora_mm.models.utils import TrackFeatures, mean_overlap, plan_error
from dora_mm.utils.pixels import resize_frames
from dora_mm.visualization.clip_tracks import read_clips

PATCH, NUM_OBJECTS, NUM_PSEUDO = 16, 3, 6

AS_IS, UNIT = dict(normalize_tokens=False), dict(plan_mass='unit')
# Source of the features, and settings of the head.
READINGS = {
    'second last layer': ((-2, 'attention'), {**AS_IS, **UNIT}),
    'literal eq. 4, 5': ((-1, 'final'), {**AS_IS, **UNIT}),
    'as they are, mass a patch': ((-1, 'final'), AS_IS),
    'normalised, mass 1': ((-1, 'final'), UNIT),
    'default': ((-1, 'final'), {}),
    'epsilon .01, 100': ((-1, 'final'), dict(epsilon=0.01, num_iters=100)),
    'epsilon .005, 100': ((-1, 'final'), dict(epsilon=0.005, num_iters=100)),
    'epsilon .002, 300': ((-1, 'final'), dict(epsilon=0.002, num_iters=300)),
    'raw tracks': ((-1, 'final'), dict(refine=False)),
}
# Lengths of what all patches of a feature share, of what those of an object
# share, and of noise; length of queries and keys.
SETTINGS = list(itertools.product([(1, 1, 1), (1, .5, 1), (2, 1, 1)], [8, 25]))


class Found(NamedTuple):
    """Means over clips, frames and objects, in [0, 1]."""
    iou: float
    coverage: float


def load_clips(videos: List[str], num_clips: int, clip_len: int,
               size: int) -> Tensor:
    """The first clips of each video, a second between frames.

    Returns:
        Tensor: (B, T, 3, size, size), RGB in [0, 1].
    """
    clips = [
        torch.from_numpy(resize_frames(clip.frames, (size, size)))
        for video in videos
        for clip in read_clips(video, num_clips, clip_len=clip_len)
    ]
    return torch.stack(clips).permute(0, 1, 4, 2, 3) / 255


def pseudo_objects(clip: Tensor) -> Tensor:
    """Six things in a clip, by the colour and the place of a patch.

    Args:
        clip (Tensor): (T, 3, h, w), RGB in [0, 1]. Other scales of colour
            against place give things of very different size.

    Returns:
        Tensor: (T, N), int64, numbers of the things.
    """
    colour = F.avg_pool2d(clip, PATCH)  # (T, 3, rows, columns)
    axes = (torch.linspace(-1, 1, n) for n in colour.shape[-2:])
    place = torch.stack(torch.meshgrid(*axes, indexing='ij'))
    place = place.expand(len(clip), -1, -1, -1)
    points = torch.cat((colour, place), 1).flatten(2).mT  # (T, N, 5)
    found = KMeans(
        NUM_PSEUDO, n_init=4, random_state=0).fit(points.flatten(0, 1))
    return torch.from_numpy(found.labels_).long().view(points.shape[:2])


def oracle_features(labels: Tensor,
                    parts: Tuple[float, ...],
                    key_norm: float,
                    generator: torch.Generator,
                    dims: int = 384) -> TrackFeatures:
    """What a network would give whose patches know their object.

    Args:
        labels (Tensor): (T, N), see :func:`pseudo_objects`.
        parts (tuple[float]): See ``SETTINGS``.
        key_norm (float): Length of queries and keys.
        generator (torch.Generator): Of all random vectors.
        dims (int): D. Defaults to 384.

    Returns:
        TrackFeatures: Of one clip; attention head i sees object i.
    """

    def unit(*shape: int) -> Tensor:
        vectors = torch.randn(*shape, dims, generator=generator)
        return F.normalize(vectors, dim=-1)

    vectors = unit(), unit(NUM_PSEUDO)[labels], unit(*labels.shape)
    tokens = sum(length * part for length, part in zip(parts, vectors))
    tokens = F.normalize(tokens, dim=-1)[None]  # (1, T, N, D)
    seen = F.one_hot(labels[0], NUM_PSEUDO).T.float()  # (H, N)
    attn = 3 * seen + 0.3 * torch.randn(seen.shape, generator=generator)
    return TrackFeatures(
        cls_token=tokens[:, :, 0],
        patch_tokens=19.6 * tokens[:, 0],
        query=key_norm * tokens[:, 0],
        key=key_norm * tokens,
        cls_attn=attn.softmax(-1)[None])


def hard_masks(track_attn: Tensor) -> Tensor:
    """(..., K, N) maps to bool masks, as a step of training has them."""
    clips = track_attn.new_zeros(
        1, 1, 1, PATCH, PATCH * track_attn.shape[-1])
    masks = MultiObjectMaskTransform('map')(dict(
        clips=clips, track_attn=track_attn))['object_masks']
    return masks.flatten(-2) > 0


def oracle(clip_labels: List[Tensor], parts: Tuple[float, ...],
           key_norm: float, **reading) -> Found:
    """Masks of pseudo-objects against the objects.

    Args:
        clip_labels (list[Tensor]): See :func:`pseudo_objects`.
        parts, key_norm: See :func:`oracle_features`.
        **reading: Of :class:`SinkhornPrototypeHead`.

    Returns:
        Found: Of three objects a clip.
    """
    head = SinkhornPrototypeHead(NUM_OBJECTS, **reading)
    generator = torch.Generator().manual_seed(0)
    ious, covers = [], []
    for labels in clip_labels:
        feats = oracle_features(labels, parts, key_norm, generator)
        objects = torch.randperm(NUM_PSEUDO, generator=generator)[:NUM_OBJECTS]
        masks = hard_masks(head(feats, objects[None]).track_attn)[0]
        truth = labels[:, None] == objects[:, None]  # (T, K, N)
        union = (masks | truth).sum(-1).clamp(min=1)
        ious.append(((masks & truth).sum(-1) / union).mean())
        covers.append(masks.float().mean())
    return Found(torch.stack(ious).mean().item(),
                 torch.stack(covers).mean().item())


@torch.no_grad()
def network_features(model: DoRA, clips: Tensor,
                     source: Tuple[int, str]) -> Tuple[TrackFeatures, ...]:
    """Features of the teacher in float32, and in bfloat16 by autocast.

    Args:
        model (DoRA): Its teacher is looked at.
        clips (Tensor): (B, T, 3, h, w), RGB in [0, 1].
        source (tuple): ``track_layer`` and ``patch_feature``.
    """
    views = model.data_preprocessor
    clips = (clips - views.mean) / views.std
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast(
                'cpu', dtype=torch.bfloat16, enabled=dtype != torch.float32):
            found.append(
                model.teacher['backbone'].forward_track(clips, *source))
    return tuple(found)


def of_network(features: Tuple[TrackFeatures, ...],
               reading: dict) -> Dict[str, float]:
    """What a reading makes of the features of a network.

    Args:
        features (tuple): Of :func:`network_features`.
        reading (dict): Of :class:`SinkhornPrototypeHead`.

    Returns:
        dict[str, float]: A row of the table.
    """
    head = SinkhornPrototypeHead(NUM_OBJECTS, draw='sample', **reading)
    found = []
    for feats in features:
        head.seed(0)  # the same heads
        found.append(head(feats))
    tracks, rounded = found
    masks, other = (hard_masks(each.track_attn) for each in found)
    entropy = torch.special.entr(tracks.track_attn).sum(-1)
    both = (masks & other).sum(-1) / (masks | other).sum(-1).clamp(min=1)
    plan = tracks.transport_plan
    row = dict(
        raw=mean_overlap(tracks.raw_track_attn),
        refined=mean_overlap(tracks.track_attn),
        share=(entropy.exp() / tracks.track_attn.shape[-1]).mean(),
        coverage=masks.float().mean(),
        error=float('nan') if plan is None else plan_error(plan),
        bf16=both.mean())
    return {name: float(value) for name, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('videos', nargs='+')
    parser.add_argument('--num-clips', type=int, default=2, help='of a video')
    parser.add_argument('--clip-len', type=int, default=8, help='frames')
    parser.add_argument(
        '--model',
        default=config_path('dora/vit-s16_wt.py'),
        help='a run checkpoint, or a config for random weights')
    args = parser.parse_args()
    model = ModelLoader(args.model).tracker()
    size = model.data_preprocessor.global_views.size
    clips = load_clips(args.videos, args.num_clips, args.clip_len, size)
    labels = [pseudo_objects(clip) for clip in clips]
    print(f'{len(clips)} clips of {args.clip_len} frames, {size} pixels\n\n'
          f'| {args.model} | raw overlap | overlap | effective share | '
          'coverage | error | bf16 IoU |\n' + '|---' * 7 + '|')
    features = {}
    for name, (source, reading) in READINGS.items():
        if source not in features:
            features[source] = network_features(model, clips, source)
        row = of_network(features[source], reading)
        print(f'| {name} | ' + ' | '.join(f'{x:.3f}' for x in row.values()) +
              ' |')
    heads = ' | '.join(f'{parts}, {norm}' for parts, norm in SETTINGS)
    print(f'\n| pseudo-objects: IoU, coverage | {heads} | mean |\n' +
          '|---' * (2 + len(SETTINGS)) + '|')
    for name, (_, reading) in READINGS.items():
        found = [oracle(labels, *setting, **reading) for setting in SETTINGS]
        cells = [f'{each.iou:.2f}, {each.coverage:.2f}' for each in found]
        mean = sum(each.iou for each in found) / len(found)
        print(f'| {name} | {" | ".join(cells)} | {mean:.2f} |')


if __name__ == '__main__':
    main()
