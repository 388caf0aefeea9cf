# Objects in DAVIS frames: Mask R-CNN in minutes on a CPU.
# No recipe of a paper: real masks to see whether a backbone trains in mmdet.
# Data: python tools/dataset_converters/davis.py DAVIS data/davis_objects
# Command: bash tools/benchmarks/mmdetection/dist_train.sh CONFIG \
#     CHECKPOINT 1, the checkpoint one of tools/run_demo.sh (ViT-Ti/16), or
#     the host's tools/train.py with --cfg-options model.backbone.init_cfg=None
# Hardware and result: docs/downstream.md.
_base_ = 'mask-rcnn_vit-s16_fpn_1x_coco.py'
embed_dims = 192
channels = 64  # of the pyramid and all that reads it: a sixteenth of the work
max_epochs = 24
scale = (256, 144)

data = dict(
    data_root='data/davis_objects/', metainfo=dict(classes=('object', )))
train_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='color_ignore_orientation'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor')),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    dataset=dict(
        ann_file='instances_training.json',
        data_prefix=dict(img='images/training/'),
        pipeline=train_pipeline,
        **data))
val_dataloader = dict(
    num_workers=2,
    dataset=dict(
        ann_file='instances_validation.json',
        data_prefix=dict(img='images/validation/'),
        pipeline=test_pipeline,
        **data))
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=data['data_root'] + 'instances_validation.json')
test_evaluator = val_evaluator

model = dict(
    backbone=dict(arch='deit-tiny', img_size=(144, 256), with_cp=False),
    neck=[
        dict(
            type='dora_mm.ViTPyramid',
            in_channels=embed_dims,
            norm_cfg=_base_.norm_cfg),
        dict(
            type='FPN',
            in_channels=[embed_dims] * 4,
            out_channels=channels,
            num_outs=5),
    ],
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        # AdamW moves a bias by the rate in a step at most: from 0 it would
        # take thousands of them to say that most anchors are background.
        init_cfg=dict(
            type='Normal',
            layer='Conv2d',
            std=0.01,
            override=dict(
                type='Normal', name='rpn_cls', std=0.01, bias_prob=0.02))),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        mask_roi_extractor=dict(out_channels=channels),
        bbox_head=dict(
            in_channels=channels, fc_out_channels=256, num_classes=1),
        mask_head=dict(
            in_channels=channels, conv_out_channels=channels, num_classes=1)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=300, max_per_img=100)))
optim_wrapper = dict(optimizer=dict(lr=5e-4), clip_grad=dict(max_norm=5.))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='MultiStepLR', by_epoch=True, milestones=[18, 22], gamma=0.1),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=6)
default_hooks = dict(logger=dict(interval=20))
