# Human parts followed through the videos of VIP by label propagation: mIoU.
# CropMAE's protocol, which is videowalk's with other numbers: long side 880,
# the first and the last 20 frames, a disk of 20 patches, the 10 most similar,
# temperature 0.7.
# Command: python tools/test.py configs/evaluation/vip.py CHECKPOINT \
#     --data PATH/VIP_Fine
# Expected: not in the DoRA paper; not run.
_base_ = ['./davis2017.py']

model = dict(
    protocol='videowalk',
    num_context=20,
    radius=20,
    topk=10,
    temperature=0.7,
    std=[58.395, 57.12, 57.375])
test_dataloader = dict(
    dataset=dict(_delete_=True, type='dora_mm.VIPDataset', root='data/VIP'))
test_evaluator = dict(_delete_=True, type='dora_mm.VideoIoUMetric')
