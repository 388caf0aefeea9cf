# DoRA, ViT-S/16, Walking Tours on one GPU: the recipe of vit-s16_wt.py, with
# as many clips a step and so at the same rate.
# Command: dora-mm train dora/vit-s16_wt_1gpu
# Less memory: train_dataloader.batch_size=16
#   optim_wrapper.accumulative_counts=3, at the same rate.
# Hardware: one GPU of 80 GB. Memory: expected 60 GiB, not run; 23.4 GiB were
#   measured with 32 clips of one global view, layers recomputed, and two views
#   are 1.7 times the arithmetic.
# Time: expected 110 to 210 hours for a video of 110 minutes at 60 frames per
#   second on an H100, not run. An earlier version, in bfloat16 and without
#   compiled layers, reached 167 clips/s in the step alone and 90 in training
#   with one global view (docs/benchmarks.md).
# Expected result: not run.
_base_ = ['./vit-s16_wt.py']

clips_per_gpu = 48

train_dataloader = dict(batch_size=clips_per_gpu)
