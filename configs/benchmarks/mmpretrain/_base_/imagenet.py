# ImageNet-1k for 8 GPUs. A child sets the pipelines.
gpus = 8
batch_size = 128
num_classes = 1000

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    dataset=dict(type='ImageNet', data_root='data/imagenet', split='train'),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=batch_size,
    num_workers=8,
    dataset=dict(type='ImageNet', data_root='data/imagenet', split='val'),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
