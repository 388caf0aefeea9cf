# ADE20K semantic segmentation: UPerNet, fine-tuned end to end.
# Paper: DoRA (arXiv 2310.08584), table 3; recipe of iBOT (arXiv 2111.07832),
#   evaluation/semantic_segmentation, ViT-S/16 with its README's settings.
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh \
#     CONFIG CHECKPOINT 4 --amp
#   then the host's tools/test.py (single scale), with --tta (multi-scale).
# Hardware: 4 GPUs, 4 images each; iBOT used V100s of 32 GB.
# Expected: mIoU DoRA, Venice 35.4 [DoRA], 35.2 [PooDLe]; DoRA, ten videos 38.3
#   [PooDLe]; DoRA, Zurich 21.6 [EgoViT]; DINO, ImageNet-1k 33.9 [DoRA]; DINO,
#   Venice 29.2 [PooDLe]; DINO, Zurich 21.2 [EgoViT]. Not run by us.
# Kept of iBOT: the final norm on all four levels; weight decay on position
#   embedding and [CLS]. Different: the decay of the learning rate starts after
#   the warmup, not under it; loss scaling is torch's, not apex's.
_base_ = [
    '_base_/ade20k_512.py', '_base_/vit-s16_512.py', '_base_/adamw_160k.py',
    '_base_/default_runtime.py'
]
num_classes = 150
embed_dims = 384
norm_cfg = dict(type='SyncBN', requires_grad=True)

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    # Computes each layer again in the backward pass, as iBOT's runs do.
    backbone=dict(drop_path_rate=0.1, with_cp=True),
    neck=dict(
        type='dora_mm.ViTPyramid', in_channels=embed_dims, norm_cfg=norm_cfg),
    decode_head=dict(
        type='UPerHead',
        in_channels=[embed_dims] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=embed_dims,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=embed_dims,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(341, 341)))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=3e-5, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='dora_mm.LayerDecayConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.9,
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        flat_decay_mult=0.))
