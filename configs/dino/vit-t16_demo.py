# DINO, tiny, on the CPU in minutes: the baseline of configs/dora/vit-t16_demo.
# Command: python tools/train.py configs/dino/vit-t16_demo.py
# Hardware and time: 2 CPU cores, minutes.
_base_ = ['../dora/vit-t16_demo.py']

model = dict(
    _delete_=True,
    type='dora_mm.DINO',
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    loss=_base_.model.loss,
    data_preprocessor=_base_.model.data_preprocessor)
