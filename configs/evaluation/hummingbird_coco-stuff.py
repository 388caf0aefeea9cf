# Dense nearest-neighbour retrieval (Hummingbird) on COCO-Stuff 164k, 171
# classes: mIoU. As hummingbird_voc.py. The labels are those that
# mmsegmentation's tools/dataset_converters make.
# Command: python tools/test.py configs/evaluation/hummingbird_coco-stuff.py \
#     CHECKPOINT --data PATH/coco_stuff164k
# Expected: not in the DoRA paper; not run.
_base_ = ['./hummingbird_voc.py']

layout = dict(
    root='data/coco_stuff164k',
    num_classes=171,
    images='images/{split}2017',
    masks='annotations/{split}2017',
    lists=None,
    mask_suffix='_labelTrainIds.png')
test_dataloader = dict(dataset=layout)
test_cfg = dict(memory_dataloader=dict(dataset=layout))
