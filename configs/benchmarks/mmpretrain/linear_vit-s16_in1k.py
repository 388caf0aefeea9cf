# ImageNet-1k linear probe: 45 learning rates in one pass.
# Paper: DoRA (arXiv 2310.08584), table 6; protocol of DINO and iBOT: [CLS] of
#   the last four blocks, each normed, concatenated; SGD, cosine, 100 epochs;
#   the best of {1 ... 9} x 10^{-4 ... 0} (for a batch of 256) counts.
# Command: bash tools/benchmarks/mmpretrain/dist_train.sh CONFIG CHECKPOINT 8
# Hardware: 8 GPUs with 128 images each. In float32, see LinearSweepHead.
# Expected: top-1 DoRA, Venice 44.5 [DoRA]; DoRA, Zurich 29.6 [EgoViT]; DINO,
#   ImageNet-1k 72 [DoRA]; DINO, Venice 33.8 [DoRA]; DINO, Zurich 30.9
#   [EgoViT]. Not run by us.
_base_ = [
    '_base_/vit-s16.py', '_base_/imagenet.py', '_base_/default_runtime.py'
]
max_epochs = 100
learning_rates = [
    round(digit * 10**power, 5) for power in range(-4, 1)
    for digit in range(1, 10)
]

data_preprocessor = dict(
    num_classes=_base_.num_classes,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='RandomResizedCrop', scale=224, backend='pillow'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(
        type='ResizeEdge',
        scale=256,
        edge='short',
        backend='pillow',
        interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

model = dict(
    backbone=dict(
        out_indices=[8, 9, 10, 11], norm_each_output=True, frozen_stages=12),
    head=dict(
        type='dora_mm.LinearSweepHead',
        num_classes=_base_.num_classes,
        in_channels=4 * 384,
        num_classifiers=len(learning_rates)))
val_evaluator = dict(
    type='dora_mm.SweepAccuracy', learning_rates=learning_rates)
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(
        type='SGD',
        lr=_base_.gpus * _base_.batch_size / 256,
        momentum=0.9,
        weight_decay=0.),
    paramwise_cfg=dict(custom_keys={
        f'head.classifiers.{i}.': dict(lr_mult=rate)
        for i, rate in enumerate(learning_rates)
    }))
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        T_max=max_epochs,
        by_epoch=True,
        begin=0,
        end=max_epochs),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
auto_scale_lr = dict(
    enable=False, base_batch_size=_base_.gpus * _base_.batch_size)
default_hooks = dict(checkpoint=dict(save_best='sweep/top1_best'))
