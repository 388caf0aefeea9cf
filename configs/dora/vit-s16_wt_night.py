# DoRA, ViT-S/16, in a night on one GPU: the recipe of vit-s16_wt_1gpu.py over
# 28 epochs of every sixth start frame, 1.8 million clips in place of 40.
# Command: dora-mm train dora/vit-s16_wt_night
#   --cfg-options train_dataloader.dataset.video=PATH/Venice.mp4
# Hardware: as vit-s16_wt_1gpu.py.
# Time: expected 5 to 10 hours for a video of 110 minutes at 60 frames per
#   second on an H100, not run: see there.
# Expected result: not run; it is a twentieth of the paper's training.
_base_ = ['./vit-s16_wt_1gpu.py']

max_epochs = 28
warmup_epochs = 3

train_dataloader = dict(dataset=dict(start_stride=6))

# The schedules of the paper, over as large a share of the run.
param_scheduler = [
    dict(_base_.param_scheduler[0], warmup=warmup_epochs),
    _base_.param_scheduler[1]
]
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [
    dict(hook, warmup_epochs=8)
    if hook['type'] == 'dora_mm.TeacherTempHook' else hook
    for hook in _base_.custom_hooks
]
default_hooks = dict(checkpoint=dict(interval=1000))
