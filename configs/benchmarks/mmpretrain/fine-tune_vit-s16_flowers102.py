# Flowers-102, fine-tuned end to end.
# Recipe of iBOT (arXiv 2111.07832) for its smaller data sets.
# Command: bash tools/benchmarks/mmpretrain/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 96 images each.
# Expected: top-1 DoRA, one video 94 [DoRA]; DoRA, ten videos 98.7 [DoRA];
#   DINO, ImageNet-1k 98.3 [DoRA]. Not run by us.
_base_ = '_base_/transfer.py'
num_classes = 102

data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(
    dataset=dict(
        type='Flowers102', data_root='data/flowers102', split='trainval'))
val_dataloader = dict(
    dataset=dict(
        type='Flowers102', data_root='data/flowers102', split='test'))
test_dataloader = val_dataloader

model = dict(head=dict(num_classes=num_classes))
