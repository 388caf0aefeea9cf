# Fine-tuning at 224 pixels as in DeiT: RandAugment, random erasing, mixup or
# cutmix on every batch, soft targets. A child sets data, head and schedule.
_base_ = ['vit-s16.py', 'default_runtime.py']
rgb_mean = [123.675, 116.28, 103.53]
rgb_std = [58.395, 57.12, 57.375]
data_preprocessor = dict(mean=rgb_mean, std=rgb_std, to_rgb=True)

augmentations = [
    dict(
        type='RandomResizedCrop',
        scale=224,
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandAugment',
        policies='timm_increasing',
        num_policies=2,
        total_level=10,
        magnitude_level=9,
        magnitude_std=0.5,
        hparams=dict(pad_val=[104, 116, 124], interpolation='bicubic')),
    dict(
        type='RandomErasing',
        erase_prob=0.25,
        mode='rand',
        min_area_ratio=0.02,
        max_area_ratio=1 / 3,
        fill_color=rgb_mean[::-1],
        fill_std=rgb_std[::-1]),
    dict(type='PackInputs'),
]
centre = [
    dict(
        type='ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
load = [dict(type='LoadImageFromFile', color_type='color_ignore_orientation')]
train_pipeline = load + augmentations
test_pipeline = load + centre

model = dict(
    backbone=dict(drop_path_rate=0.1),
    head=dict(
        type='LinearClsHead',
        in_channels=384,
        loss=dict(
            type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')),
    train_cfg=dict(augments=[
        dict(type='Mixup', alpha=0.8),
        dict(type='CutMix', alpha=1.0)
    ]))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_evaluator = val_evaluator
