# Control: the masks of another clip. Masks move like objects, but not like
# the objects in the picture.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_other-clip.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(mask_control='other_clip')
