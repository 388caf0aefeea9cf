# iNaturalist 2018, fine-tuned end to end.
# Recipe of iBOT (arXiv 2111.07832) for its smaller data sets: 360
#   epochs, less erasing, and for ViT-S a learning rate of 5e-5.
# Command: bash tools/benchmarks/mmpretrain/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 96 images each.
# Expected: top-1 DoRA, one video 69.8 [DoRA]; DoRA, ten videos 72.2 [DoRA];
#   DINO, ImageNet-1k 71.5 [DoRA]. Not run by us.
_base_ = '_base_/transfer.py'
num_classes = 8142

data_preprocessor = dict(num_classes=num_classes)
# train.txt and val.txt name an image and its class, 0 to 8141, on every line:
# 'train_val2018/Aves/2761/0a1b.jpg 2761'.
train_dataloader = dict(
    dataset=dict(
        type='CustomDataset',
        data_root='data/inat18',
        ann_file='train.txt',
        pipeline=[
            dict(step, erase_prob=0.1)
            if step['type'] == 'RandomErasing' else step
            for step in _base_.train_pipeline
        ]))
val_dataloader = dict(
    dataset=dict(
        type='CustomDataset', data_root='data/inat18', ann_file='val.txt'))
test_dataloader = val_dataloader

model = dict(head=dict(num_classes=num_classes))
optim_wrapper = dict(
    optimizer=dict(lr=5e-5 * _base_.gpus * _base_.batch_size / 512))
train_cfg = dict(max_epochs=360)
