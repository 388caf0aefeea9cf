# COCO detection and instance segmentation: Cascade Mask R-CNN, 36 epochs.
# Recipe of iBOT (arXiv 2111.07832), evaluation/object_detection, as its config
#   file has it (3x).
# Command: bash tools/benchmarks/mmdetection/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 2 images each; memory: docs/downstream.md.
# Expected: the DoRA paper trains 1x. Not run by us.
_base_ = 'cascade-mask-rcnn_vit-s16_fpn_1x_coco.py'
max_epochs = 36

train_dataloader = dict(batch_size=2)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.75))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[27, 33], gamma=0.1),
]
train_cfg = dict(max_epochs=max_epochs)
auto_scale_lr = dict(base_batch_size=16)
