# ADE20K semantic segmentation: a linear classifier on frozen features.
# Paper: DoRA (arXiv 2310.08584); recipe of iBOT (arXiv 2111.07832),
#   evaluation/semantic_segmentation/configs/linear: one 1x1 convolution on the
#   concatenation of four normed levels.
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh \
#     CONFIG CHECKPOINT 4 --amp
# Hardware: 4 GPUs, 4 images each, or one GPU with 16.
# Expected: mIoU DoRA, Venice 14.1 [PooDLe]; DoRA, ten videos 13.9 [PooDLe];
#   DINO, Venice 7.8 [PooDLe]. Not run by us.
#   iBOT gives a learning rate for ViT-B only, 8e-4; for
#   ViT-S try 3e-5, 1e-4, 3e-4, 8e-4, 3e-3 (optim_wrapper.optimizer.lr) and say
#   which one it was.
_base_ = [
    '_base_/ade20k_512.py', '_base_/linear_512.py', '_base_/adamw_160k.py',
    '_base_/default_runtime.py'
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(num_classes=150))
