# Joints of people followed through the videos of JHMDB, split 1: PCK.
# CropMAE's protocol, which is videowalk's with other numbers: sides of 320
# pixels, the first and the last 20 frames, a disk of 20 patches, the 7 most
# similar, temperature 0.7.
# Command: python tools/test.py configs/evaluation/jhmdb.py CHECKPOINT \
#     --data PATH, the folder with Rename_Images, joint_positions and splits
# Expected: not in the DoRA paper; not run.
_base_ = ['./vip.py']

model = dict(type='dora_mm.KeypointPropagation', topk=7)
test_dataloader = dict(
    dataset=dict(
        _delete_=True, type='dora_mm.JHMDBDataset', root='data/jhmdb'))
test_evaluator = dict(_delete_=True, type='dora_mm.PCKMetric')
