# COCO detection and instance segmentation: Mask R-CNN, 12 epochs.
# Not a recipe of the DoRA paper: a cheaper neighbour of the cascade, with its
# backbone, augmentation and schedule.
# Command: bash tools/benchmarks/mmdetection/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 4 images each; memory: docs/downstream.md.
# Expected: not run.
_base_ = [
    '_base_/rcnn_vit-s16_fpn.py', '_base_/coco_instance.py',
    '_base_/adamw_1x.py', '_base_/default_runtime.py'
]
model = dict(
    type='MaskRCNN',
    roi_head=dict(
        type='StandardRoIHead',
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=256,
            fc_out_channels=1024,
            roi_feat_size=7,
            num_classes=_base_.num_classes,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0., 0., 0., 0.],
                target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=False,
            loss_cls=dict(
                type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0))),
    train_cfg=dict(rcnn=_base_.rcnn_train))
