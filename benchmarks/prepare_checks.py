"""What checks of exactness add to the preparation of a video.

    python benchmarks/prepare_checks.py walk4k_5min.mp4 --frames 240 --pairs 15

A segment is prepared with and without the checksums of the packets that it
reads and of the JPEGs that it writes, in turn, in seconds of CPU time of one
process. What the check of the index and the count from the first frame on cost
is measured once a file and set against an hour of the video.
"""
import argparse
import os
import statistics
import tempfile
from pathlib import Path
from unittest import mock

from prepare import timed

from dora_mm.video.preparation import verify_video, writers
from dora_mm.video.preparation.part_store import PartStore
from dora_mm.video.preparation.prepare_settings import PrepareSettings
from dora_mm.video.preparation.segment_job import (SegmentJob, encode_segment,
                                                   open_source)
from dora_mm.video.preparation.source_video import Segment
from dora_mm.video.readers import packet_sums, scan_video
from dora_mm.video.readers.load_video_index import load_video_index


def _unchecked(packets, index, first=0):
    return ((packet, True) for packet in packets)


def segment_seconds(path, num_frames, folder, checks):
    """CPU seconds of the first frames as a segment."""
    store = PartStore(folder, dict(turn=checks))
    job = SegmentJob(
        str(path), Segment(0, (0, num_frames), (0, num_frames)),
        PrepareSettings('mjpeg'), store)
    if checks:
        return timed(encode_segment, job)[0]
    with mock.patch.object(packet_sums, 'checked_packets', _unchecked), \
            mock.patch.object(writers, 'sign_jpeg', lambda jpeg: jpeg):
        return timed(encode_segment, job)[0]


def index_seconds(path):
    """CPU seconds of the index, with and without checksums and check."""
    with mock.patch.object(scan_video, 'packet_sum', lambda *_: 0), \
            mock.patch.object(scan_video, 'own_sum_fits', lambda _: None):
        plain = timed(scan_video.scan_video, str(path))[0]
    return timed(load_video_index, str(path))[0], plain


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video', type=Path)
    parser.add_argument('--frames', type=int, default=240)
    parser.add_argument('--pairs', type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['DORA_MM_CACHE'] = folder
        with_check, plain = index_seconds(args.video)
        source = open_source(str(args.video))
        count, _ = timed(verify_video.count_frames, str(args.video),
                         {verify_video.counted_frames(source) - 1},
                         lambda frame: [None])
        pairs = [[
            segment_seconds(args.video, args.frames, Path(folder), checks)
            for checks in ((True, False) if turn % 2 else (False, True))
        ][::1 if turn % 2 else -1] for turn in range(args.pairs)]
    low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    frame = statistics.median(b for _, b in pairs) / args.frames
    hour = float(3600 * source.fps) * frame
    print(f'{1e3 * frame:.1f} ms a frame without checks; with them '
          f'{middle:.3f} times as much, the middle half {low:.3f} to '
          f'{high:.3f}')
    once = with_check - plain + count
    print(f'once a file: index {plain:.1f} s, with checksums and check '
          f'{with_check:.1f} s, count {count:.1f} s; of the {hour:.0f} s of '
          f'an hour {once / hour:.1%} more')


if __name__ == '__main__':
    main()
