# DINO, ViT-S/16, on the frames of Walking Tours clips, on equal terms with
# DoRA: the same data, crops, backbone, neck and schedule, and the same weights
# of the global and the local term (1 and 1). DINO's own weights and crops:
# vit-s16_wt_own-terms.py.
# Paper: "Emerging Properties in Self-Supervised Vision Transformers".
# Command: bash tools/dist_train.sh configs/dino/vit-s16_wt.py 8
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected: ADE20K UPerNet DoRA, Venice 35.4 [DoRA], 35.2 [PooDLe]; DoRA, ten
#   videos 38.3 [PooDLe]; DoRA, Zurich 21.6 [EgoViT]; DINO, ImageNet-1k 33.9
#   [DoRA]; DINO, Venice 29.2 [PooDLe]; DINO, Zurich 21.2 [EgoViT]; ImageNet
#   linear DoRA, Venice 44.5 [DoRA]; DoRA, Zurich 29.6 [EgoViT]; DINO,
#   ImageNet-1k 72 [DoRA]; DINO, Venice 33.8 [DoRA]; DINO, Zurich 30.9
#   [EgoViT].
_base_ = ['../dora/vit-s16_wt.py']

model = dict(
    _delete_=True,
    type='dora_mm.DINO',
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    loss=_base_.model.loss,
    data_preprocessor=_base_.model.data_preprocessor)
