# The paper's ablation of K: one object instead of three.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_one-object.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(head=dict(num_objects=1))
