# COCO detection and instance segmentation: Cascade Mask R-CNN, 12 epochs.
# Paper: DoRA (arXiv 2310.08584), table 3; recipe of iBOT (arXiv 2111.07832),
#   evaluation/object_detection, ViT-S/16 with its README's settings (1x).
# Command: bash tools/benchmarks/mmdetection/dist_train.sh \
#     CONFIG CHECKPOINT 8 --amp
# Hardware: 8 GPUs with 4 images each; memory: docs/downstream.md.
# Expected: box AP DoRA, Venice 39.5 [DoRA]; DoRA, Zurich 20.4 [EgoViT]; DINO,
#   ImageNet-1k 39.9 [DoRA]; DINO, Zurich 20.6 [EgoViT]. Not run by us.
_base_ = [
    '_base_/rcnn_vit-s16_fpn.py', '_base_/coco_instance.py',
    '_base_/adamw_1x.py', '_base_/default_runtime.py'
]
# Of each stage: what counts as an object, and the scale of its corrections.
ious = [0.5, 0.6, 0.7]
target_stds = [[0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1],
               [0.033, 0.033, 0.067, 0.067]]

model = dict(
    type='CascadeRCNN',
    rpn_head=dict(
        loss_bbox=dict(
            _delete_=True,
            type='SmoothL1Loss',
            beta=1.0 / 9.0,
            loss_weight=1.0)),
    roi_head=dict(
        type='CascadeRoIHead',
        num_stages=3,
        stage_loss_weights=[1, 0.5, 0.25],
        bbox_head=[
            dict(
                type='ConvFCBBoxHead',
                num_shared_convs=4,
                num_shared_fcs=1,
                in_channels=256,
                conv_out_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=_base_.num_classes,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0., 0., 0., 0.],
                    target_stds=stds),
                reg_class_agnostic=False,
                reg_decoded_bbox=True,
                norm_cfg=_base_.norm_cfg,
                loss_cls=dict(
                    type='CrossEntropyLoss',
                    use_sigmoid=False,
                    loss_weight=1.0),
                loss_bbox=dict(type='GIoULoss', loss_weight=10.0))
            for stds in target_stds
        ]),
    train_cfg=dict(
        rpn=dict(allowed_border=0),
        rpn_proposal=dict(max_per_img=2000),
        rcnn=[
            dict(
                _base_.rcnn_train,
                assigner=dict(
                    _base_.rcnn_assigner,
                    pos_iou_thr=iou,
                    neg_iou_thr=iou,
                    min_pos_iou=iou,
                    match_low_quality=False)) for iou in ious
        ]))
