# Dense nearest-neighbour retrieval (Hummingbird) on Cityscapes, 19 classes:
# mIoU. As hummingbird_voc.py, on squares, which Cityscapes' frames are not.
# The labels are those that mmsegmentation's tools/dataset_converters make.
# Command: python tools/test.py configs/evaluation/hummingbird_cityscapes.py \
#     CHECKPOINT --data PATH/cityscapes
# Expected: not in the DoRA paper; not run.
_base_ = ['./hummingbird_voc.py']

layout = dict(
    root='data/cityscapes',
    num_classes=19,
    images='leftImg8bit/{split}',
    masks='gtFine/{split}',
    lists=None,
    image_suffix='_leftImg8bit.png',
    mask_suffix='_gtFine_labelTrainIds.png')
test_dataloader = dict(dataset=layout)
test_cfg = dict(memory_dataloader=dict(dataset=layout))
