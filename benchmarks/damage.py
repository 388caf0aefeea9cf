"""Count the clips that are silently wrong in damaged videos.

    python benchmarks/damage.py
    python benchmarks/damage.py --source street.mp4 --files 100 --out x.json

Of a film in H.264, and of what `prepare_video.py` makes of it in both
encodings, copies are damaged at a random place: one bit is flipped, or one
sector is lost, which reads as zeros. All clips of 8 frames in a row are read
as training reads them, with an index that is made of the damaged copy, and
compared with the sound file. A clip is damaged if it is refused, raises or
differs; silently wrong if it only differs. Damaged copies of the film are
prepared as well: a frame that differs from the sound result, and is not
excluded by the manifest, is silently wrong. Ends with status 1 if there are
more than the bars allow.
"""
import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from make_test_video import encode, numbered_frames

from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.prepare_videos import prepare_videos
from dora_mm.video.readers import build_reader

CLIP_LEN = 8
SECTOR = 2048
SIZE, NUM_FRAMES, FPS = (320, 180), 120, 25
# Highest share of the damaged clips that may be silently wrong.
BARS = dict(bit=.01, sector=.05)
_BAR_OF_STORE = .005


def damaged(data, kind, rng):
    """A copy of a file's bytes with one bit or one sector wrong."""
    copy = bytearray(data)
    if kind == 'bit':
        copy[rng.integers(len(copy))] ^= 1 << int(rng.integers(8))
    else:
        first = int(rng.integers(len(copy) // SECTOR)) * SECTOR
        copy[first:first + SECTOR] = bytes(SECTOR)
    return bytes(copy)


def read_all(path, num_frames):
    """Clips of a file, each uint8 (CLIP_LEN, H, W, 3) or None if it fails."""
    firsts = range(0, num_frames - CLIP_LEN + 1, CLIP_LEN)
    try:
        reader = build_reader(str(path))
    except ValueError:
        return [None] * len(firsts)
    clips = []
    for first in firsts:
        try:
            clips.append(reader.get_frames(range(first, first + CLIP_LEN)))
        except (ValueError, IndexError):
            clips.append(None)
    reader.close()
    return clips


def prepare(path, folder, encoding):
    """Path and manifest of a prepared file; None, None if it is refused."""
    done, errors = prepare_videos([str(path)], folder,
                                  PrepareSettings(encoding=encoding))
    if errors:
        return None, None
    return done[0].path, done[0].manifest


def kept_frames(path, manifest, num_frames):
    """Frames that the manifest does not exclude; None for others."""
    reader = build_reader(str(path))
    excluded = np.zeros(num_frames, bool)
    for begin, end, _ in manifest.excluded:
        excluded[begin:end] = True
    count = min(reader.num_frames, num_frames)
    return [
        None if excluded[n] else reader.get_frames([n])[0]
        for n in range(count)
    ] + [None] * (num_frames - count)


def compare(got, right, row):
    """Count what was not given, and what is silently wrong."""
    for a, b in zip(got, right):
        row['all'] += 1
        row['refused'] += a is None
        row['wrong'] += a is not None and not np.array_equal(a, b)


def measure(args, folder):
    """Rows of counts, one for each file and kind of damage."""
    film = folder / 'film.mp4'
    encode(film, numbered_frames(args.source, SIZE, NUM_FRAMES, FPS), FPS,
           'libx264', dict(preset='veryfast', crf='23', g='50', bf='3'))
    files = {'film (H.264)': film}
    for encoding in ('mjpeg', 'h264'):
        files[f'store ({encoding})'], manifest = prepare(
            film, folder / encoding, encoding)
        if encoding == 'mjpeg':
            prepared = kept_frames(files['store (mjpeg)'], manifest,
                                   NUM_FRAMES)
    rows = []
    for kind in BARS:
        for name, path in files.items():
            rows.append(_damage(name, kind, path, folder, args, None))
        rows.append(
            _damage('film, prepared', kind, film, folder, args, prepared))
    return rows


def _damage(name, kind, path, folder, args, prepared):
    """The row of a file; its frames as prepared, if it is to be prepared."""
    row = dict(file=name, damage=kind, copies=0, all=0, refused=0, wrong=0)
    rng, data = np.random.default_rng(args.seed), path.read_bytes()
    right = prepared or read_all(path, NUM_FRAMES)
    for number in range(args.files):
        copy = folder / 'damaged' / f'{number}.mp4'
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(damaged(data, kind, rng))
        if prepared is None:
            got = read_all(copy, NUM_FRAMES)
        else:
            result, manifest = prepare(copy, folder / f'{kind}{number}',
                                       'mjpeg')
            got = [None] * NUM_FRAMES
            if result is not None:
                got = kept_frames(result, manifest, NUM_FRAMES)
        compare(got, right, row)
        row['copies'] += 1
    row['share'] = row['wrong'] / max(1, row['refused'] + row['wrong'])
    row['bar'] = _BAR_OF_STORE if 'store' in name else BARS[kind]
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--source', type=Path, help='what to make the film of')
    parser.add_argument(
        '--files', type=int, default=25, help='damaged copies of each')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, help='also write this JSON')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['DORA_MM_CACHE'] = folder
        rows = measure(args, Path(folder))
    print('| file | damage | copies | clips | refused | silently wrong '
          '| share | bar |')
    print('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
    for row in rows:
        print(f'| {row["file"]} | {row["damage"]} | {row["copies"]} '
              f'| {row["all"]} | {row["refused"]} | {row["wrong"]} '
              f'| {row["share"]:.1%} | {row["bar"]:.1%} |')
    print(f'{time.process_time() - start:.0f} s of CPU time')
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))
    sys.exit(any(row['share'] > row['bar'] for row in rows))


if __name__ == '__main__':
    main()
