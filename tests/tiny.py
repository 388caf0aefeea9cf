"""A DoRA small enough for tests, as a config and as a model."""
import copy
import time

import torch
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from dora_mm.registry import MODELS

NUM_LOGITS = 32

MODEL = dict(
    type='dora_mm.DoRA',
    backbone=dict(
        type='dora_mm.DoRAViT',
        arch=dict(
            embed_dims=48, num_layers=3, num_heads=4, feedforward_channels=96),
        img_size=32,
        patch_size=8),
    neck=dict(
        type='dora_mm.DINONeck',
        in_channels=48,
        out_channels=NUM_LOGITS,
        hidden_channels=64,
        bottleneck_channels=16),
    head=dict(type='dora_mm.SinkhornPrototypeHead', num_objects=2),
    mask=dict(type='dora_mm.MultiObjectMaskTransform'),
    loss=dict(type='dora_mm.DoRALoss', out_channels=NUM_LOGITS),
    data_preprocessor=dict(
        type='dora_mm.ClipViewPreprocessor',
        global_views=dict(num=2, size=32),
        local_views=dict(num=2, size=16)))


def model_cfg(name='DoRA', **changes):
    """The config, with arguments of single parts replaced."""
    cfg = copy.deepcopy(MODEL)
    if name == 'DINO':
        cfg['type'] = 'dora_mm.DINO'
        del cfg['head'], cfg['mask']
    for key, value in changes.items():
        inner = cfg.get(key, {})
        cfg[key] = {**inner, **value} if isinstance(value, dict) else value
    return cfg


def build_model(name='DoRA', **changes):
    """A model with weights drawn large enough for maps to differ."""
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(name, **changes))
    model.init_weights()
    for param in [*model.backbone.parameters(), *model.neck.parameters()]:
        if param.requires_grad and param.ndim > 1:
            torch.nn.init.normal_(param, std=0.2)
    model.update_teacher(0.)
    return model.train()


def views(num_global=2, num_local=2, batch=2, frames=3, seed=0):
    """Random views of the sizes above."""
    generator = torch.Generator().manual_seed(seed)

    def clips(num, size):
        return torch.randn(
            num, batch, frames, 3, size, size, generator=generator)

    return dict(
        global_clips=clips(num_global, 32), local_clips=clips(num_local, 16))


class RandomClips(Dataset):
    """Clips of random pixels, the same ones at every access."""

    metainfo = dict(dataset_type='random')

    def __init__(self, length=12, frames=2):
        self.length = length
        self.frames = frames

    def __len__(self):
        return self.length

    def __getitem__(self, item):
        index, seed = item
        generator = torch.Generator().manual_seed(index)
        clip = torch.randint(
            256, (self.frames, 3, 40, 40),
            dtype=torch.uint8,
            generator=generator)
        sample = DataSample(metainfo=dict(seed=seed, num_replaced=0))
        return dict(inputs=clip, data_samples=sample)


def build_runner(work_dir, hooks=(), max_epochs=2, batch_size=4, **kwargs):
    """A runner that trains the model above on random clips."""
    cfg = dict(
        model=model_cfg(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=batch_size,
            num_workers=0,
            drop_last=True,
            sampler=dict(type='dora_mm.ClipSampler'),
            collate_fn=dict(type='default_collate'),
            dataset=RandomClips()),
        train_cfg=dict(
            type='dora_mm.ResumableEpochLoop', max_epochs=max_epochs),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.04),
            constructor='dora_mm.DecayGroupsConstructor'),
        custom_hooks=list(hooks),
        default_scope='mmpretrain',
        default_hooks=dict(checkpoint=None),
        randomness=dict(seed=0),
        log_level='WARNING',
        experiment_name=f'{work_dir}-{time.monotonic_ns()}')
    cfg.update(kwargs)
    return Runner(**cfg)
