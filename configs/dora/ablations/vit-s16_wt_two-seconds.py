# The paper's ablation of the interval: frames two seconds apart.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_two-seconds.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

train_dataloader = dict(dataset=dict(frame_interval=2.))
