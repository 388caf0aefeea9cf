# NYUd depth: one linear layer on frozen features. RMSE, abs_rel and d1 (share
# of pixels within a factor of 1.25), means over 654 images.
# Source: dinov3, eval/depth, config-nyu.yaml: batch norm and a 1x1 convolution
#   on the last normed level, 256 bins, 38,400 iterations of 16 crops, Eigen's
#   crop, both orientations averaged. Different: the white frame of pictures is
#   not cut off before the random crop, colours change by
#   PhotoMetricDistortion, beta1 stays as it is, and the rate falls as a cosine
#   after the warmup alone.
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh \
#     CONFIG CHECKPOINT 4 --amp
# Hardware: 4 GPUs, 4 images each, or one GPU with 16.
# Expected: not in the DoRA paper; not run.
_base_ = [
    '_base_/nyu_480.py', '_base_/vit-s16_512.py', '_base_/default_runtime.py'
]
image_size = (480, 640)
max_iters = 38400
warmup_iters = 12800

model = dict(
    type='DepthEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        img_size=image_size,
        out_indices=[11],
        norm_each_output=False,
        frozen_stages=12),
    decode_head=dict(type='dora_mm.LinearDepthHead', in_channels=384),
    train_cfg=dict(),
    # one window: the picture, and its mirror image
    test_cfg=dict(mode='slide_flip', crop_size=image_size, stride=image_size))

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=3e-4, betas=(0.9, 0.99), weight_decay=1e-4),
    # groups by parameter: those that are frozen stay out
    paramwise_cfg=dict(bias_decay_mult=1.),
    clip_grad=dict(max_norm=35))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=False,
        begin=0,
        end=warmup_iters),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.,
        by_epoch=False,
        begin=warmup_iters,
        end=max_iters),
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=1600,
        max_keep_ckpts=1,
        save_best='rmse',
        rule='less'),
    sampler_seed=dict(type='DistSamplerSeedHook'))
auto_scale_lr = dict(enable=False, base_batch_size=16)
