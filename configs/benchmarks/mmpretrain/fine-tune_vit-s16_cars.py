# Stanford Cars, fine-tuned end to end.
# Recipe of iBOT (arXiv 2111.07832) for its smaller data sets, where ten
#   times the usual learning rate is its setting.
# Command: bash tools/benchmarks/mmpretrain/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 96 images each.
# Expected: top-1 DoRA, one video 92.5 [DoRA]; DoRA, ten videos 93.1 [DoRA];
#   DINO, ImageNet-1k 92.2 [DoRA]. Not run by us.
_base_ = '_base_/transfer.py'
num_classes = 196

data_preprocessor = dict(num_classes=num_classes)
train_dataloader = dict(
    dataset=dict(type='StanfordCars', data_root='data/cars', split='train'))
val_dataloader = dict(
    dataset=dict(type='StanfordCars', data_root='data/cars', split='test'))
test_dataloader = val_dataloader

model = dict(head=dict(num_classes=num_classes))
optim_wrapper = dict(
    optimizer=dict(lr=7.5e-5 * _base_.gpus * _base_.batch_size / 512))
