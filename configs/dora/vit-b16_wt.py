# DoRA, ViT-B/16, Walking Tours: the paper's definition, a larger backbone.
# Command: bash tools/dist_train.sh configs/dora/vit-b16_wt.py 8
# Hardware and time: not run by us.
# Expected: not run.
_base_ = ['./vit-s16_wt.py']

model = dict(
    backbone=dict(arch='deit-base'),
    # DINO keeps the gain of the last layer fixed for ViT-B.
    neck=dict(norm_last_layer=True))
