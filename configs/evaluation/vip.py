# Human parts followed through the videos of VIP by label propagation: mIoU.
# Numbers of CropMAE's protocol, which is videowalk's: long side 880, the first
# and the last 20 frames, a window of 20 patches, the 10 most similar,
# temperature 0.7. Two things are DINO's here, and change the figure: the
# window is a square, not a disk, and the first mask is read at the centre of
# each patch, not scaled down bilinearly.
# Command: python tools/test.py configs/evaluation/vip.py CHECKPOINT \
#     --data PATH/VIP_Fine
# Expected: not in the DoRA paper; not run.
_base_ = ['./davis2017.py']

model = dict(
    num_context=20,
    radius=20,
    topk=10,
    temperature=0.7,
    std=[58.395, 57.12, 57.375])
test_dataloader = dict(
    dataset=dict(_delete_=True, type='dora_mm.VIPDataset', root='data/VIP'))
test_evaluator = dict(_delete_=True, type='dora_mm.VideoIoUMetric')
