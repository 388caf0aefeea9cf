# Weighted nearest neighbours on ImageNet-1k, DINO's and DoRA's protocol:
# short side 256, bicubic, central 224; k 10, 20, 100, 200; temperature 0.07.
# Command: python tools/test.py configs/evaluation/knn_imagenet.py CHECKPOINT
# Expected: top-1 DoRA, Venice 36 [DoRA]; DINO, ImageNet-1k 70 [DoRA], k not
#   stated; not run.
_base_ = ['_base_/runtime.py']

root = 'data/imagenet'  # with the folders train and val
size = 224
batch_size = 128
num_workers = 8
ks = (10, 20, 100, 200)

model = dict(
    type='dora_mm.FrozenEncoder',
    backbone=_base_.backbone,
    data_preprocessor=dict(
        type='mmengine.ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]))

pipeline = [
    dict(type='dora_mm.DecodeImage'),
    dict(
        type='mmpretrain.ResizeEdge',
        scale=size * 256 // 224,
        edge='short',
        backend='pillow',
        interpolation='bicubic'),
    dict(type='mmpretrain.CenterCrop', crop_size=size),
    dict(type='mmpretrain.PackInputs'),
]
test_dataloader = dict(
    batch_size=batch_size,
    num_workers=num_workers,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='dora_mm.ClassFolderDataset',
        root=root,
        split='val',
        pipeline=pipeline))
memory_dataloader = dict(
    test_dataloader,
    dataset=dict(
        type='dora_mm.ClassFolderDataset',
        root=root,
        split='train',
        pipeline=pipeline))
test_evaluator = dict(type='dora_mm.KNNMetric')
test_cfg = dict(
    type='dora_mm.KNNLoop',
    memory_dataloader=memory_dataloader,
    ks=ks,
    temperature=0.07)
