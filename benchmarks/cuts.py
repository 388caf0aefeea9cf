"""Shot cuts: precision and recall of ours and of PySceneDetect's detectors.

    python benchmarks/cuts.py FILM.mp4=84,174,249 WALK.mp4= --out cuts.json

A film, an equals sign and the numbers of the frames that begin a shot. A cut
counts as found on its frame alone. PySceneDetect (pip install
"dora-mm[eval]") runs with its own defaults; its clock time includes its
decoder, as ours does.
"""
import argparse
import platform
import time
from typing import Callable, Dict, Sequence, Set

from scenedetect import (AdaptiveDetector, ContentDetector, HashDetector,
                         HistogramDetector, __version__, detect)

from dora_mm.utils.write_json import write_json
from dora_mm.video.preparation.segment_job import measure_changes
from dora_mm.video.preparation.source_video import SourceVideo
from dora_mm.video.shot_cuts import find_cuts, join_changes


def ours(path: str) -> Set[int]:
    """Numbers of the frames that begin a shot."""
    segments = SourceVideo(path).segments()
    return set(
        find_cuts(join_changes([measure_changes(path, s) for s in segments])))


def of_detector(detector: type) -> Callable[[str], Set[int]]:
    """The same by a detector of PySceneDetect."""

    def run(path: str) -> Set[int]:
        return {
            int(start.frame_num)
            for start, _ in detect(path, detector())[1:]
        }

    return run


def compare(films: Dict[str, Set[int]]) -> Sequence[dict]:
    """Run every detector on every film.

    Args:
        films (dict[str, set[int]]): File to its cuts.

    Returns:
        Sequence[dict]: A row a detector: ``precision`` and ``recall`` over
        all films, ``false`` and ``missed`` by film, ``seconds``.
    """
    detectors = dict(ours=ours)
    for kind in (ContentDetector, AdaptiveDetector, HashDetector,
                 HistogramDetector):
        detectors[kind.__name__] = of_detector(kind)
    rows = []
    for name, run in detectors.items():
        row = dict(detector=name, false={}, missed={})
        right = found = 0
        start = time.perf_counter()
        for path, cuts in films.items():
            here = run(path)
            right, found = right + len(here & cuts), found + len(here)
            row['false'][path] = sorted(here - cuts)
            row['missed'][path] = sorted(cuts - here)
        row.update(
            seconds=time.perf_counter() - start,
            precision=right / found if found else 1.,
            recall=right / max(sum(map(len, films.values())), 1))
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('films', nargs='+', metavar='FILE=CUT,CUT,...')
    parser.add_argument('--out', default='work_dirs/cuts.json')
    args = parser.parse_args()
    films = {}
    for text in args.films:
        path, equals, cuts = text.rpartition('=')
        if not equals:
            parser.error(f'films must be FILE=CUT,CUT,..., but got {text!r}: '
                         'write FILE= for a film without cuts')
        films[path] = {int(cut) for cut in cuts.split(',') if cut}
    rows = compare(films)
    for row in rows:
        print(f"{row['detector']:18} precision {row['precision']:.3f}  recall "
              f"{row['recall']:.3f}  {row['seconds']:6.1f} s  false "
              f"{sum(row['false'].values(), [])}  missed "
              f"{sum(row['missed'].values(), [])}")
    write_json(
        args.out,
        dict(
            scenedetect=__version__, machine=platform.processor(), rows=rows))


if __name__ == '__main__':
    main()
