# Flowers-102, fine-tuned end to end.
# Recipe of iBOT (arXiv 2111.07832) for its smaller data sets.
# Command: bash tools/benchmarks/mmpretrain/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 96 images each.
# Expected: the DoRA paper gives no number. Not run by us.
_base_ = '_base_/transfer.py'
num_classes = 102

data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(
    batch_size=_base_.batch_size,
    num_workers=8,
    dataset=dict(
        type='Flowers102',
        data_root='data/flowers102',
        split='trainval',
        pipeline=_base_.train_pipeline),
    sampler=dict(type='RepeatAugSampler', shuffle=True))
val_dataloader = dict(
    batch_size=_base_.batch_size,
    num_workers=8,
    dataset=dict(
        type='Flowers102',
        data_root='data/flowers102',
        split='test',
        pipeline=_base_.test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader

model = dict(head=dict(num_classes=num_classes))
