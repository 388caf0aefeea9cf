# The paper's ablation of T: clips of 4 frames instead of 8, twice as many of
# them for as many frames in a step.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_four-frames.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

train_dataloader = dict(
    batch_size=2 * _base_.clips_per_gpu, dataset=dict(clip_len=4))
auto_scale_lr = dict(base_batch_size=2 * _base_.total_clips)
