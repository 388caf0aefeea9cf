"""The DoRA paper's analysis of a video: is it one to learn from?

Example: python tools/analysis_tools/video_stats.py walk.mp4

Lightness over time, shot cuts and, with an mmdet detector, objects and classes
in a frame. A walk drifts slowly
in lightness, shows many classes at a time and has next to no cuts. Written:
NAME_stats.json with all figures and NAME_stats.png.
"""
import argparse
from pathlib import Path
from typing import Callable

import numpy as np

from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.claim_outputs import claim_outputs
from dora_mm.utils.need_package import need_package
from dora_mm.utils.number_options import not_negative, positive
from dora_mm.utils.run_main import run_main
from dora_mm.utils.write_json import write_json
from dora_mm.video.readers import build_reader
from dora_mm.video.video_stats import sample_video, shot_cuts, summarise


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('video', help='video file')
    parser.add_argument(
        '--interval',
        type=positive,
        default=1.,
        help='seconds between samples (default: 1)')
    parser.add_argument(
        '--detector',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='of mmdet, to count objects')
    parser.add_argument(
        '--min-score',
        type=not_negative,
        default=0.5,
        help='of an object that counts (default: 0.5)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/video_stats',
        help='folder to write to (default: work_dirs/video_stats)')
    return parser.parse_args(args)


def load_detector(config: str,
                  checkpoint: str,
                  min_score: float = 0.5) -> Callable:
    """An mmdet detector as a function of a frame.

    Args:
        config, checkpoint (str): Of the detector.
        min_score (float): Of an object that counts. Defaults to 0.5.

    Returns:
        callable: uint8 (H, W, 3), RGB, to a list of class numbers.

    Raises:
        ImportError: If mmdet is not installed.
    """
    need_package('mmdet', '--detector', '"dora-mm[det]"')
    from mmdet.apis import inference_detector, init_detector
    from mmengine.device import get_device
    model = init_detector(config, checkpoint, device=get_device())

    def detect(frame):
        found = inference_detector(model, np.ascontiguousarray(
            frame[..., ::-1])).pred_instances
        return found.labels[found.scores >= min_score].tolist()

    return detect


def plot(samples, cuts, path):
    """Curves over time with the cuts as lines across them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    names = [
        name for name in ('lightness', 'objects', 'classes')
        if name in samples[0]
    ]
    figure = Figure(figsize=(9, 2.2 * len(names)), layout='constrained')
    FigureCanvasAgg(figure)
    seconds = [sample['second'] for sample in samples]
    for i, name in enumerate(names):
        axes = figure.add_subplot(len(names), 1, i + 1)
        axes.plot(seconds, [sample[name] for sample in samples])
        for cut in cuts:
            axes.axvline(cut, color='tab:red', linewidth=0.8)
        axes.set_ylabel(name)
    axes.set_xlabel(f'seconds ({len(cuts)} shot cuts in red)')
    figure.savefig(path, dpi=120)


def analyse(args):
    """Write the figures and the plot."""
    if not Path(args.video).is_file():
        raise ValueError(
            f'video must be a file, but got {args.video}: check the path')
    check_output_folder('--out-dir', args.out_dir)
    detect = None
    if args.detector:
        detect = load_detector(*args.detector, args.min_score)
    reader = build_reader(args.video)
    folder = Path(args.out_dir)
    name = claim_outputs(folder, args.video, 'stats', r'stats\.png')
    try:
        samples = sample_video(reader, args.interval, detect)
        seconds = reader.index.seconds
    finally:
        reader.close()
    cuts = shot_cuts(args.video)
    summary = summarise(samples, cuts, seconds)
    plot(samples, cuts, folder / f'{name}_stats.png')
    # Last, as it takes the place of the record that holds the names.
    write_json(
        folder / f'{name}_stats.json',
        dict(
            source=str(Path(args.video).resolve()),
            summary=summary,
            cuts=cuts,
            samples=samples))
    for key, value in summary.items():
        print(f'{key:20} {value:10.2f}')
    print(f'written to {folder}')


def main(argv=None):
    analyse(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
