# Object discovery on Pascal VOC trainval by four protocols at once: averaged
# [CLS] attention with 80 % of its mass (the DoRA paper's), the box of its
# largest component or of that with most mass; LOST; TokenCut. CorLoc, Jaccard.
# Command: python tools/test.py configs/evaluation/discovery_voc.py \
#     CHECKPOINT --data PATH/VOC2007 (or VOC2012)
# Expected, of attention, on which set the paper does not say: CorLoc DoRA,
#   Venice 57.1 [DoRA]; DoRA, Zurich 24.1 [EgoViT]; DINO, ImageNet-1k 55.8
#   [DoRA]; DINO, Zurich 37.2 [EgoViT]. Of LOST: VOC07 DINO, ImageNet-1k 61.9
#   [LOST], VOC12 DINO, ImageNet-1k 64 [LOST]; not run.
_base_ = ['_base_/runtime.py']

model = dict(
    type='dora_mm.ObjectDiscovery',
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
test_evaluator = dict(type='dora_mm.DiscoveryMetric')
test_cfg = dict(type='dora_mm.ProgressTestLoop')
