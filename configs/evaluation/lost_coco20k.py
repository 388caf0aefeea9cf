# Object discovery by LOST on COCO20k: CorLoc.
# Command: python tools/test.py configs/evaluation/lost_coco20k.py CHECKPOINT \
#     --data PATH, with train2014, annotations and LOST's list of images
# Expected: DINO, ImageNet-1k 50.7 [LOST]; not run.
_base_ = ['./lost_voc.py']

test_dataloader = dict(
    dataset=dict(
        root='data/coco',
        split='train2014',
        ann_file='annotations/instances_train2014.json',
        id_file='coco_20k_filenames.txt'))
