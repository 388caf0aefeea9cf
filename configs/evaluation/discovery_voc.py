# Object discovery on Pascal VOC trainval by four protocols at once: averaged
# [CLS] attention with 80 % of its mass (the DoRA paper's), the box of its
# largest component or of that with most mass; LOST; TokenCut. CorLoc, Jaccard.
# Command: python tools/test.py configs/evaluation/discovery_voc.py \
#     CHECKPOINT --data PATH/VOC2007 (or VOC2012)
# Expected, of attention, on which set the paper does not say: CorLoc DoRA,
#   Venice 57.1 [DoRA]; DoRA, Zurich 24.1 [EgoViT]; DINO, ImageNet-1k 55.8
#   [DoRA]; DINO, Zurich 37.2 [EgoViT]; not run.
_base_ = ['./lost_voc.py']

model = dict(type='dora_mm.ObjectDiscovery')
test_evaluator = dict(_delete_=True, type='dora_mm.DiscoveryMetric')
