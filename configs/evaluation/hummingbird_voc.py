# Dense nearest-neighbour retrieval (Hummingbird) on Pascal VOC 2012: mIoU.
# 30 neighbours, temperature 0.02, 512 pixels, 1,024,000 patches.
# Command: python tools/test.py configs/evaluation/hummingbird_voc.py \
#     CHECKPOINT --data PATH/VOC2012
# Expected: not in the DoRA paper; not run.
_base_ = ['_base_/runtime.py']

size = 512

model = dict(
    type='dora_mm.DenseEncoder',
    backbone=_base_.backbone,
    data_preprocessor=dict(
        type='mmengine.ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375]))
dataset = dict(
    type='dora_mm.SemanticMaskDataset',
    root='data/VOC2012',
    num_classes=21,
    size=size)
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, split='val'))
test_evaluator = dict(type='dora_mm.IoUMetric')
test_cfg = dict(
    type='dora_mm.DenseKNNLoop',
    memory_dataloader=dict(
        test_dataloader, dataset=dict(dataset, split='train')))
