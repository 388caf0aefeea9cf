"""Does a model learn? Figures without labels, on clips of a video.

Example: dora-mm health iter_N.pth walk.mp4

Rank and spectrum of [CLS] and patches, prototypes in use, tracks, and what
the teacher still has of its random start. docs/evaluation.md says what is
healthy and what to do. Clips of a prepared video reach over no shot cut. A
config in place of the checkpoint gives the random weights that a run starts
from, which the figures are to be compared with.
"""
import argparse
import math
from typing import TYPE_CHECKING, Any, Dict, Optional

from dora_mm.utils.check_output import check_output_file
from dora_mm.utils.number_options import integer, not_negative
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config
from dora_mm.utils.write_json import write_json

if TYPE_CHECKING:
    from dora_mm.models import ModelLoader


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'model',
        type=find_config,
        metavar='CHECKPOINT|CONFIG',
        help='runner checkpoint, or a config file for random weights')
    parser.add_argument('videos', nargs='+', metavar='VIDEO')
    parser.add_argument(
        '--config',
        type=find_config,
        help='config to use instead of the one in the checkpoint')
    parser.add_argument(
        '--num-clips',
        type=integer(1),
        default=16,
        help='most clips of each video, one after the other (default: 16)')
    parser.add_argument(
        '--start',
        type=not_negative,
        default=0.,
        help='first second (default: 0)')
    parser.add_argument('--out', help='JSON file to write as well')
    return parser.parse_args(args)


def teacher_start(loader: 'ModelLoader') -> Optional[float]:
    """The share of its random start that a checkpoint's teacher still has.

    Args:
        loader (ModelLoader): Of the checkpoint.

    Returns:
        float | None: 1 for random weights; None if the checkpoint does not
        say how long its run is.
    """
    from dora_mm.engine import TeacherEMAHook
    if loader.checkpoint is None:
        return 1.
    meta: Dict[str, Any] = loader.checkpoint.get('meta', {})
    length = meta.get('run', {}).get('epoch_iters')
    hooks = [
        hook for hook in loader.cfg.get('custom_hooks', ())
        if hook['type'].split('.')[-1] == 'TeacherEMAHook'
    ]
    if length is None or not hooks:
        return None
    settings = {k: v for k, v in hooks[0].items() if 'momentum' in k}
    wrapper = loader.cfg.get('optim_wrapper', {})
    return TeacherEMAHook(**settings).start_share(
        meta['iter'], length * loader.cfg.train_cfg.max_epochs,
        wrapper.get('accumulative_counts', 1))


def measure(args) -> Dict[str, float]:
    """Print the figures, and write them if asked to."""
    # Imported here: a tool's --help needs no torch.
    from dora_mm.models import ModelLoader
    from dora_mm.models.evaluators.model_health import model_health
    from dora_mm.visualization.clip_tracks import clip_settings, read_clips
    if args.out:
        check_output_file('--out', args.out)
    loader = ModelLoader(args.model, args.config)
    model = loader.model()
    settings = clip_settings(loader.cfg)
    figures = model_health(model, [
        clip.frames for video in args.videos for clip in read_clips(
            video, args.num_clips, args.start, **settings, as_trained=True)
    ])
    kept = teacher_start(loader)
    if kept is not None:
        figures['teacher_start'] = kept
    for name, value in figures.items():
        print(f'{name:20} {value:10.4g}')
    if args.out:
        write_json(
            args.out, {
                name: value if math.isfinite(value) else None
                for name, value in figures.items()
            })
    return figures


def main(argv=None):
    measure(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
