# The head: a 1x1 convolution on four normed levels of a frozen backbone.
_base_ = './vit-s16_512.py'
embed_dims = 384

model = dict(
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
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=8e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(bias_decay_mult=0.))
