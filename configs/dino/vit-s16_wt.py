# DINO, ViT-S/16, on the frames of Walking Tours clips: DoRA's baseline,
# through the same data, views, backbone, neck and schedule.
# Paper: "Emerging Properties in Self-Supervised Vision Transformers".
# Command: bash tools/dist_train.sh configs/dino/vit-s16_wt.py 8
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected (DoRA paper, one video): ADE20K UperNet 29.2 mIoU, linear 7.8.
_base_ = ['../dora/vit-s16_wt.py']

model = dict(
    _delete_=True,
    type='dora_mm.DINO',
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    loss=dict(
        type='dora_mm.DoRALoss',
        out_channels=_base_.num_logits,
        mean_over_pairs=True),
    data_preprocessor=_base_.model.data_preprocessor)
