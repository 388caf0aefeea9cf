# Control: random blocks of the same coverage, at one place through a clip.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_random-blocks.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(mask_control='blocks')
