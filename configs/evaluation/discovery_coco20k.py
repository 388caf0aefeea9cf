# Object discovery on COCO20k, as discovery_voc.py.
# Command: python tools/test.py configs/evaluation/discovery_coco20k.py \
#     CHECKPOINT --data PATH, with train2014, annotations and LOST's list
# Expected: the paper names no set; not run.
_base_ = ['./lost_coco20k.py']

model = dict(type='dora_mm.ObjectDiscovery')
test_evaluator = dict(_delete_=True, type='dora_mm.DiscoveryMetric')
