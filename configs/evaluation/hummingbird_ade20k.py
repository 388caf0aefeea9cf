# Dense nearest-neighbour retrieval (Hummingbird) on ADE20K, 150 classes: mIoU.
# As hummingbird_voc.py; what has no label does not count.
# Command: python tools/test.py configs/evaluation/hummingbird_ade20k.py \
#     CHECKPOINT --data PATH/ADEChallengeData2016
# An eighth of the images to look in:
#     --cfg-options test_cfg.memory_dataloader.dataset.share=0.125
# Expected: not in the DoRA paper; not run.
_base_ = ['./hummingbird_voc.py']

layout = dict(
    root='data/ade/ADEChallengeData2016',
    num_classes=150,
    images='images/{split}',
    masks='annotations/{split}',
    lists=None,
    reduce_zero_label=True)
test_dataloader = dict(dataset=dict(layout, split='validation'))
test_cfg = dict(
    memory_dataloader=dict(dataset=dict(layout, split='training')))
