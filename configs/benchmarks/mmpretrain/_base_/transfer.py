# Fine-tuning on a smaller data set as in iBOT, which follows DeiT: no
# layer-wise rates, a small rate and many epochs.
# Different from iBOT: no averaged weights beside the trained ones.
_base_ = 'fine_tune.py'
max_epochs = 1000
gpus = 8
batch_size = 96
base_lr = 7.5e-6  # of a batch of 512

# A child names the data set of both.
train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    dataset=dict(pipeline=_base_.train_pipeline),
    sampler=dict(type='RepeatAugSampler', shuffle=True))
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    dataset=dict(pipeline=_base_.test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW',
        lr=base_lr * gpus * batch_size / 512,
        betas=(0.9, 0.999),
        weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        flat_decay_mult=0.,
        custom_keys={
            'pos_embed': dict(decay_mult=0.),
            'cls_token': dict(decay_mult=0.)
        }))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    # DeiT's lower bound: at the smallest rate it hardly decays.
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, begin=5),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=10)
auto_scale_lr = dict(enable=False, base_batch_size=gpus * batch_size)
default_hooks = dict(
    checkpoint=dict(interval=10, save_best='accuracy/top1'))
