# Video object segmentation on DAVIS-2017 by label propagation, DINO's
# protocol: short side 480, the first and the last 7 frames, a window of 12
# patches, the 5 most similar, temperature 0.1.
# Command: python tools/test.py configs/evaluation/davis2017.py CHECKPOINT \
#     --data PATH, the folder with JPEGImages and Annotations
# Expected: J&F DoRA, Venice 58.4 [DoRA]; DoRA, Zurich 53.8 [EgoViT]; DINO,
#   ImageNet-1k 59.4 [DoRA]; DINO, Zurich 53.8 [EgoViT]; not run.
_base_ = ['_base_/runtime.py']

model = dict(
    type='dora_mm.LabelPropagation',
    backbone=_base_.backbone,
    mean=[123.675, 116.28, 103.53],
    # The red one differs from ImageNet's (0.229) in DINO's code.
    std=[58.14, 57.12, 57.375])
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='dora_mm.DAVISDataset', root='data/davis', year=2017))
# None: tools/test.py writes the masks to WORK_DIR/results
test_evaluator = dict(type='dora_mm.DAVISMetric', out_dir=None)
test_cfg = dict(type='dora_mm.ProgressTestLoop')
