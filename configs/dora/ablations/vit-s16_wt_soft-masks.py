# The paper's ablation of the masks: soft ones, as Fig. 3 draws them.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_soft-masks.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(mask=dict(mode='soft'))
