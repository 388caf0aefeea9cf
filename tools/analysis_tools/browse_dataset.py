"""Look at clips and views exactly as a model gets them.

Example: python tools/analysis_tools/browse_dataset.py CONFIG --num 8

Takes the clips in the order of a run with the config's seed and cuts their
views as its data preprocessor does. One picture for each clip: the frames
that the worker hands over, then a row for each global and each local view;
a column for each frame. Masks need a teacher: tools/visualize_tracks.py.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

from dora_mm.utils.check_output import check_output_folder
from dora_mm.utils.counted import counted
from dora_mm.utils.launch import set_dataloader_defaults
from dora_mm.utils.number_options import integer
from dora_mm.utils.options_action import OptionsAction
from dora_mm.utils.read_config import read_config
from dora_mm.utils.run_main import run_main
from dora_mm.utils.shipped_configs import find_config


def parse_args(args=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'config',
        type=find_config,
        help='config of a pretraining run, or its name (dora/vit-s16_wt)')
    parser.add_argument(
        '--num', type=integer(1), default=8, help='clips to show (default: 8)')
    parser.add_argument(
        '--cell',
        type=integer(1),
        default=128,
        help='pixels of one picture (default: 128)')
    parser.add_argument(
        '--out-dir',
        default='work_dirs/browse',
        help='folder to write to (default: work_dirs/browse)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override settings, for instance: '
        'train_dataloader.dataset.video=walk.mp4')
    return parser.parse_args(args)


def clips_and_views(cfg):
    """What a run with this config sees, clip by clip.

    Args:
        cfg (Config): Of a pretraining run.

    Yields:
        tuple: The clip, uint8 (T, h, w, 3), and a dict from a name to a
        view, uint8 (T, size, size, 3).
    """
    import torch
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    from dora_mm.models.data_preprocessors import JPEGClipPreprocessor
    from dora_mm.registry import MODELS
    loader = cfg.train_dataloader
    set_dataloader_defaults(loader)
    loader.update(pin_memory=False, num_workers=0, persistent_workers=False)
    loader.pop('timeout', None)
    with DefaultScope.overwrite_default_scope(
            cfg.get('default_scope', 'mmpretrain')):
        loader = Runner.build_dataloader(
            loader, seed=cfg.get('randomness', {}).get('seed', 0))
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
    std, mean = (
        values.reshape(3, 1, 1).cpu()
        for values in (preprocessor.std, preprocessor.mean))
    for batch in loader:
        if isinstance(preprocessor, JPEGClipPreprocessor):
            batch = preprocessor.decode(batch)
        clips = batch['inputs'].permute(0, 1, 3, 4, 2).numpy()
        with torch.no_grad():
            views = preprocessor(batch, training=True)['inputs']
        for i, clip in enumerate(clips):
            shown = {}
            for kind in ('global', 'local'):
                for v, view in enumerate(views[f'{kind}_clips']):
                    pixels = (view[i] * std + mean) * 255
                    shown[f'{kind} {v}'] = pixels.round().clamp(0, 255).to(
                        torch.uint8).permute(0, 2, 3, 1).numpy()
            yield clip, shown


def sheet(clip, views, cell):
    """All of a clip as one picture, uint8 (height, width, 3)."""
    rows = []
    for name, frames in dict(clip=clip, **views).items():
        row = np.concatenate(
            [cv2.resize(frame, (cell, cell)) for frame in frames], axis=1)
        cv2.putText(row, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                    (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(row, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45,
                    (255, 255, 255), 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows)


def browse(args):
    """Write ``clipNNN.png``."""
    from dora_mm.engine.merge_options import merge_options
    from dora_mm.visualization.write_images import write_png
    check_output_folder('--out-dir', args.out_dir)
    cfg = read_config(args.config)
    merge_options(cfg, args.cfg_options)
    folder, number = Path(args.out_dir), 0
    for clip, views in clips_and_views(cfg):
        if number == args.num:
            break
        folder.mkdir(parents=True, exist_ok=True)
        write_png(folder / f'clip{number:03}.png',
                  sheet(clip, views, args.cell))
        number += 1
    shown = number
    while (folder / f'clip{number:03}.png').exists():  # of an earlier run
        (folder / f'clip{number:03}.png').unlink(missing_ok=True)
        number += 1
    print(f'{counted(shown, "clip")} written to {folder}')


def main(argv=None):
    browse(parse_args(argv))


if __name__ == '__main__':
    run_main(main)
