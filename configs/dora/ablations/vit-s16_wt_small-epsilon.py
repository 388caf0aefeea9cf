# The paper's ablation of epsilon: a tenth of it, and as many iterations as
# this takes.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_small-epsilon.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(head=dict(epsilon=0.005, num_iters=100))
