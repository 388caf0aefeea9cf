# Object discovery by LOST on Pascal VOC trainval: CorLoc.
# Command: python tools/test.py configs/evaluation/lost_voc.py CHECKPOINT \
#     --data PATH/VOC2007 (or VOC2012)
# Expected: VOC07 DINO, ImageNet-1k 61.9 [LOST], VOC12 DINO, ImageNet-1k 64
#   [LOST]; not run.
_base_ = ['_base_/runtime.py']

model = dict(
    type='dora_mm.LOSTDetector',
    backbone=_base_.backbone,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375])
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='dora_mm.ObjectBoxDataset', root='data/VOC2007'))
test_evaluator = dict(type='dora_mm.CorLocMetric')
test_cfg = dict(type='dora_mm.ProgressTestLoop')
