# One global view: the student sees the objects of the teacher's own view, as
# in the authors' code.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_one-global-view.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(
    data_preprocessor=dict(global_views=dict(num=1, solarize_prob=0.)))
