# Pascal VOC 2012 segmentation: a linear classifier on frozen features.
# Source: iBOT's linear head and optimizer, which iBOT has for ADE20K; 40k
#   iterations of 16 crops of 512 as in dinov3's eval/segmentation, whose head
#   is another (one level, batch norm).
# Command: bash tools/benchmarks/mmsegmentation/dist_train.sh \
#     CONFIG CHECKPOINT 4 --amp
# Hardware: 4 GPUs, 4 images each, or one GPU with 16.
# Expected: not in the DoRA paper; not run. Try learning rates as for ADE20K
#   and say which one it was.
_base_ = [
    '_base_/voc12_512.py', '_base_/linear_512.py', '_base_/adamw_40k.py',
    '_base_/default_runtime.py'
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(num_classes=21))
