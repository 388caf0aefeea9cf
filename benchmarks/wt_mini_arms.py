"""Arms of wt_mini.py: shipped configs, made small enough to be repeated."""
import argparse
from typing import Any, Dict, Sequence

from mmengine.config import Config

from dora_mm.utils.shipped_configs import config_path

ARMS = {
    'dino': 'dino/vit-s16_wt',
    'dora': 'dora/vit-s16_wt',
    'literal': 'dora/ablations/vit-s16_wt_literal-eq4',
    'shuffled': 'dora/ablations/vit-s16_wt_other-clip',
    'no-sinkhorn': 'dora/ablations/vit-s16_wt_no-sinkhorn',
    'second-last-layer': 'dora/ablations/vit-s16_wt_second-last-layer',
}
# All but the one that was the default before.
DEFAULT_ARMS = list(ARMS)[:-1]
# Settings of all arms; the objects' are DoRA's alone.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    gpu=dict(
        arch='deit-small', clips=64, steps=200, rate=5e-4, momentum=0.99,
        teacher_temp=0.04, seeds=[0],
        objects=dict(epsilon=0.01, num_iters=50),
        settings={
            'model.backbone.img_size': 160,
            'model.neck.out_channels': 4096,
            'model.loss.out_channels': 4096,
            'model.data_preprocessor.global_views.size': 160,
            'model.data_preprocessor.local_views.size': 80,
            'model.data_preprocessor.local_views.num': 4,
        }),
    # Mostly those of dora/vit-t16_demo, but colours change as in the paper. At
    # a rate of 5e-4 DINO's outputs become alike.
    cpu=dict(
        arch=dict(embed_dims=192, num_layers=12, num_heads=3,
                  feedforward_channels=768),
        clips=3, steps=100, rate=1e-4, momentum=0.96, teacher_temp=0.02,
        seeds=[0, 1, 2],
        objects=dict(epsilon=0.002, num_iters=100, num_objects=2),
        settings={
            'model.backbone.img_size': 96,
            'model.neck.in_channels': 192,
            'model.neck.hidden_channels': 512,
            'model.neck.bottleneck_channels': 128,
            'model.neck.out_channels': 256,
            'model.loss.out_channels': 256,
            'model.loss.center_momentum': 0.8,
            'model.data_preprocessor.global_views.size': 96,
            'model.data_preprocessor.local_views.size': 48,
            'model.data_preprocessor.local_views.num': 2,
        }),
)  # yapf: disable
EPOCHS = 20


def arm_config(name: str, args: argparse.Namespace,
               videos: Sequence[str]) -> Config:
    """The config of an arm: the shipped one of its name, made small.

    Args:
        name (str): Of :data:`ARMS`.
        args (argparse.Namespace): Those of wt_mini.py.
        videos (Sequence[str]): Prepared ones.

    Returns:
        Config: Differs from those of other arms as the shipped ones do.
    """
    preset = PRESETS[args.preset]
    epochs = min(args.steps, EPOCHS)
    cfg = Config.fromfile(config_path(ARMS[name]))
    cfg.merge_from_dict({
        **preset['settings'],
        'model.backbone.drop_path_rate': 0.,
        'model.neck.norm_last_layer': True,
        'train_dataloader.batch_size': args.clips,
        'train_dataloader.num_workers': args.workers,
        'train_dataloader.sampler.num_samples':
        args.clips * (args.steps // epochs),
        'train_cfg.max_epochs': epochs,
        'optim_wrapper.optimizer.lr': preset['rate'],
        'default_hooks.logger.interval': 10,
        'default_hooks.checkpoint.interval': 100,
    })  # yapf: disable
    cfg.model.backbone.arch = preset['arch']
    if name != 'dino':
        cfg.merge_from_dict(dict(model=dict(head=preset['objects'])))
    cfg.train_dataloader.dataset.update(
        video=list(videos), clip_len=4, frame_interval=0.25)
    cfg.param_scheduler[0].warmup = epochs // 4
    momentum, temp = preset['momentum'], preset['teacher_temp']
    for hook in cfg.custom_hooks:
        if hook.type == 'dora_mm.TeacherEMAHook':
            hook.update(momentum=momentum, end_momentum=momentum)
        if hook.type == 'dora_mm.TeacherTempHook':
            hook.update(start=temp, end=temp, warmup_epochs=0)
    return cfg
