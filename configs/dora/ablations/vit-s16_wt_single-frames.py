# Control: independent frames instead of clips. As many frames in a step as
# the main recipe has, at its learning rate.
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_single-frames.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

train_dataloader = dict(
    batch_size=_base_.clips_per_gpu * _base_.clip_len,
    dataset=dict(clip_len=1))
auto_scale_lr = dict(base_batch_size=_base_.total_clips * _base_.clip_len)
