"""Count the clips that are silently wrong in damaged videos.

    python benchmarks/damage.py
    python benchmarks/damage.py --source street.mp4 --files 100 --out x.json

Of a film in H.264, and of what `prepare_video.py` makes of it in both
encodings, copies are damaged at a random place: one bit is flipped, or one
sector is lost, which reads as zeros. All clips of 8 frames in a row are read
as training reads them, and compared with the sound file. A clip is damaged if
it is refused, raises or differs; silently wrong if it only differs. Damaged
copies of the film are prepared as well: a frame that differs from the sound
result, and is not excluded by the manifest, is silently wrong.

The index of a film has checksums, so it is measured twice: damaged since it
was indexed, and damaged before, where nothing but the decoder tells. In
Matroska each second of it has the checksum that FFmpeg writes. A store
holds its checksums, so its copies are indexed as they are. Ends with status 1
if there are more silently wrong ones than the bars allow.
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
from dora_mm.video.readers.probe_video import probe_video

CLIP_LEN = 8
SECTOR = 2048
SIZE, NUM_FRAMES, FPS = (320, 180), 120, 25
# Highest share of the damaged clips of a film that may be silently wrong.
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
    film, matroska = folder / 'film.mp4', folder / 'film.mkv'
    for path, options in ((film, {}),
                          (matroska, dict(cluster_time_limit='1000'))):
        encode(path, numbered_frames(args.source, SIZE, NUM_FRAMES, FPS), FPS,
               'libx264', dict(preset='veryfast', crf='23', g='50', bf='3'),
               **options)
    stores = {}
    for encoding in ('mjpeg', 'h264'):
        stores[f'store ({encoding})'], manifest = prepare(
            film, folder / encoding, encoding)
        if encoding == 'mjpeg':
            prepared = kept_frames(stores['store (mjpeg)'], manifest,
                                   NUM_FRAMES)
    rows = []
    for kind in BARS:
        for since in (True, False):
            rows.append(_damage('film (H.264)', kind, since, film, args))
            rows.append(
                _damage('film, prepared', kind, since, film, args, prepared))
        rows.append(_damage('film in Matroska', kind, False, matroska, args))
        for name, path in stores.items():
            rows.append(_damage(name, kind, False, path, args))
    return rows


def damage_file(path, copy, kind, since, rng):
    """Write a damaged copy of a file.

    Args:
        path (Path): The file.
        copy (Path): Where to.
        kind (str): See :func:`damaged`.
        since (bool): Index the copy before it is damaged, and keep its time,
            as a disk does that decays.
        rng (np.random.Generator): Source of the random numbers.
    """
    copy.parent.mkdir(exist_ok=True)
    data = path.read_bytes()
    copy.write_bytes(data)
    if since:
        probe_video(str(copy))
    status = copy.stat()
    copy.write_bytes(damaged(data, kind, rng))
    if since:
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def _damage(name, kind, since, path, args, prepared=None):
    """The row of a file; its frames as prepared, if it is to be prepared."""
    row = dict(file=name, damage=kind, since=since, copies=0, all=0,
               refused=0, wrong=0)
    rng = np.random.default_rng(args.seed)
    right = prepared or read_all(path, NUM_FRAMES)
    for _ in range(args.files):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, 'damaged', f'copy{path.suffix}')
            damage_file(path, copy, kind, since, rng)
            if prepared is None:
                got = read_all(copy, NUM_FRAMES)
            else:
                result, manifest = prepare(copy, Path(folder, 'out'), 'mjpeg')
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
        since = ' since its index' if row['since'] else ''
        print(f'| {row["file"]} | {row["damage"]}{since} | {row["copies"]} '
              f'| {row["all"]} | {row["refused"]} | {row["wrong"]} '
              f'| {row["share"]:.1%} | {row["bar"]:.1%} |')
    print(f'{time.process_time() - start:.0f} s of CPU time')
    if args.out:
        args.out.write_text(json.dumps(rows, indent=2))
    sys.exit(any(row['share'] > row['bar'] for row in rows))


if __name__ == '__main__':
    main()
