# DoRA, ViT-S/16, Walking Tours: the method as the paper defines it.
# Paper: "Is ImageNet worth 1 video?", ICLR 2024, arXiv 2310.08584.
# Command: bash tools/dist_train.sh configs/dora/vit-s16_wt.py 8
# One video: --cfg-options train_dataloader.dataset.video=PATH/Venice.mp4
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected: ADE20K UPerNet DoRA, Venice 35.4 [DoRA], 35.2 [PooDLe]; DoRA, ten
#   videos 38.3 [PooDLe]; DoRA, Zurich 21.6 [EgoViT]; DINO, ImageNet-1k 33.9
#   [DoRA]; DINO, Venice 29.2 [PooDLe]; DINO, Zurich 21.2 [EgoViT].
_base_ = [
    '../_base_/models/dora_vit-s16.py',
    '../_base_/datasets/walking_tours.py',
    '../_base_/schedules/adamw_100e.py',
    '../_base_/default_runtime.py',
]

total_clips = 8 * _base_.clips_per_gpu  # of 8 GPUs

model = dict(
    data_preprocessor=dict(global_views=dict(solarize_prob=(0., 0.2))))

optim_wrapper = dict(
    optimizer=dict(lr=_base_.base_lr * total_clips / _base_.base_clips))
auto_scale_lr = dict(base_batch_size=total_clips)
