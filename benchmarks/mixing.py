"""How far apart the clips of a batch lie, for each way to shuffle.

    python benchmarks/mixing.py --out mixing.json

Nothing is decoded: the samplers are asked for an epoch of a video of 110
minutes at 60 frames per second, for 8 ranks with 6 clips each, and the start
times of the clips of a batch are compared. Given are, over batches from the
middle of the epoch: the distance of a clip from its nearest neighbour in the
batch of one GPU and in that of all GPUs, as the median, and the share of
clips whose nearest neighbour is less than 8 seconds away, so that their
frames interleave. Last, the share of the video's stretches of 8 seconds that
100 batches in a row show.
"""
import argparse
import json

import numpy as np

from dora_mm.datasets import BlockClipSampler, ClipSampler
from dora_mm.datasets.clip_index import ClipIndex, FileClips

FPS, CLIP_SECONDS = 60, 8
WAYS = {
    'in order (not offered)': dict(shuffle=False),
    'full shuffle': dict(),
    'blocks, 1 active': dict(active_blocks=1),
    'blocks, 4 active': dict(active_blocks=4),
    'blocks, 8 active (default)': dict(active_blocks=8),
    'blocks, 16 active': dict(active_blocks=16),
}


class _Clips:
    """A data set of one video without the video."""

    def __init__(self, minutes):
        num_frames = minutes * 60 * FPS
        offsets = tuple(range(0, CLIP_SECONDS * FPS, FPS))
        self.clip_index = ClipIndex(
            [FileClips(num_frames - offsets[-1], offsets)], 1)

    def __len__(self):
        return len(self.clip_index)


def start_times(clips, way, ranks, batch_size):
    """Start times in seconds of an epoch, (batches, ranks, batch size)."""
    times = []
    for rank in range(ranks):
        if 'active_blocks' in way:
            sampler = BlockClipSampler(clips, batch_size, seed=0, **way)
        else:
            sampler = ClipSampler(clips, seed=0, **way)
        sampler.rank, sampler.world_size = rank, ranks
        times.append([item[0] / FPS for item in sampler])
    shortest = min(map(len, times)) // batch_size * batch_size
    times = np.array([t[:shortest] for t in times])
    return times.reshape(ranks, -1, batch_size).swapaxes(0, 1)


def nearest(times):
    """Distance of each value of a row from the nearest other one."""
    gaps = np.diff(np.sort(times, axis=-1), axis=-1)
    edge = np.full((*gaps.shape[:-1], 1), np.inf)
    return np.minimum(
        np.concatenate((edge, gaps), -1), np.concatenate((gaps, edge), -1))


def share_of_video(times, num_places):
    """Share of stretches in 100 batches, of the first GPU and of all."""
    places = (times[:100] / CLIP_SECONDS).astype(int)
    return [len(np.unique(p)) / num_places for p in (places[:, 0], places)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--minutes', type=int, default=110)
    parser.add_argument('--ranks', type=int, default=8)
    parser.add_argument('--batch-size', type=int, default=6)
    parser.add_argument('--out', help='also write the numbers to this JSON')
    args = parser.parse_args()

    clips = _Clips(args.minutes)
    rows = []
    print('| order | nearest in a GPU\'s batch, s | nearest in all, s | '
          f'nearer than {CLIP_SECONDS} s in a GPU\'s batch | in all | seen in '
          '100 batches of a GPU | of all |\n'
          '| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
    for name, way in WAYS.items():
        times = start_times(clips, way, args.ranks, args.batch_size)
        middle = times[len(times) // 4:3 * len(times) // 4]
        gaps = (nearest(middle), nearest(middle.reshape(len(middle), -1)))
        row = dict(
            order=name,
            median_seconds=[float(np.median(g)) for g in gaps],
            share_within_clip=[float((g < CLIP_SECONDS).mean()) for g in gaps],
            share_of_video=share_of_video(middle,
                                          args.minutes * 60 / CLIP_SECONDS))
        rows.append(row)
        one, whole = row['median_seconds']
        shares = row['share_within_clip'] + row['share_of_video']
        print(f'| {name} | {one:.1f} | {whole:.1f} | ' +
              ' | '.join(f'{share:.0%}' for share in shares) + ' |')
    if args.out:
        with open(args.out, 'w') as file:
            json.dump(dict(vars(args), rows=rows), file, indent=2)


if __name__ == '__main__':
    main()
