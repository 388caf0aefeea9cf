# Object or background on DAVIS frames: UPerNet in minutes on a CPU.
# No recipe of a paper: real masks to see whether a backbone trains in mmseg.
# Data: python tools/dataset_converters/davis.py DAVIS data/davis_objects
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh CONFIG \
#     CHECKPOINT 1, the checkpoint one of tools/run_demo.sh (ViT-Ti/16), or
#     the host's tools/train.py with --cfg-options model.backbone.init_cfg=None
# Hardware and result: docs/downstream.md.
_base_ = 'upernet_vit-s16_ade20k-160k.py'
num_classes = 2
embed_dims = 192
crop_size = (128, 128)
max_iters = 1500

data = dict(
    type='BaseSegDataset',
    data_root='data/davis_objects',
    img_suffix='.jpg',
    seg_map_suffix='.png',
    reduce_zero_label=True,
    metainfo=dict(
        classes=('background', 'object'), palette=[[0, 0, 0], [128, 0, 0]]))
train_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(
        type='RandomResize',
        scale=(256, 144),
        ratio_range=(0.9, 1.5),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=(256, 144), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    num_workers=2, dataset=dict(pipeline=train_pipeline, **data))
val_dataloader = dict(
    num_workers=2, dataset=dict(pipeline=test_pipeline, **data))
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(arch='deit-tiny', img_size=128, with_cp=False),
    neck=dict(in_channels=embed_dims),
    decode_head=dict(
        in_channels=[embed_dims] * 4, channels=64, num_classes=num_classes),
    auxiliary_head=dict(
        in_channels=embed_dims, channels=64, num_classes=num_classes),
    test_cfg=dict(_delete_=True, mode='whole'))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='PolyLR', power=1.0, by_epoch=False, begin=20, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=max_iters))
