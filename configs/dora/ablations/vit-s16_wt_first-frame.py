# Control: objects are discovered, not tracked: masks of t0 in every frame.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_first-frame.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(mask_control='first_frame')
