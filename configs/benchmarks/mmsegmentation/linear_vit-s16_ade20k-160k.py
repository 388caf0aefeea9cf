# ADE20K semantic segmentation: a linear classifier on frozen features.
# Paper: DoRA (arXiv 2310.08584); recipe of iBOT (arXiv 2111.07832),
#   evaluation/semantic_segmentation/configs/linear: one 1x1 convolution on the
#   concatenation of four normed levels.
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh \
#     CONFIG CHECKPOINT 4 --amp
# Hardware: 4 GPUs, 4 images each, or one GPU with 16.
# Expected: mIoU DoRA, Venice 14.1 [PooDLe]; DoRA, ten videos 13.9 [PooDLe];
#   DINO, Venice 7.8 [PooDLe]. Not run by us.
#   iBOT gives a learning rate for ViT-B only, 8e-4; for
#   ViT-S try 3e-5, 1e-4, 3e-4, 8e-4, 3e-3 (optim_wrapper.optimizer.lr) and say
#   which one it was.
_base_ = [
    '_base_/ade20k_512.py', '_base_/vit-s16_512.py', '_base_/adamw_160k.py',
    '_base_/default_runtime.py'
]
num_classes = 150
embed_dims = 384

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(frozen_stages=12),
    decode_head=dict(
        type='FCNHead',
        in_channels=[embed_dims] * 4,
        in_index=[0, 1, 2, 3],
        input_transform='resize_concat',
        channels=embed_dims * 4,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.,
        num_classes=num_classes,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(341, 341)))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=8e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(bias_decay_mult=0.))
