# Equations 4 and 5 to the letter: tokens as they are, a plan of mass 1.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_literal-eq4.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(head=dict(normalize_tokens=False, plan_mass='unit'))
