# Object discovery by LOST on COCO20k: CorLoc.
# Command: python tools/test.py configs/evaluation/lost_coco20k.py CHECKPOINT \
#     --data PATH, with train2014, annotations and LOST's list of images
# Expected: LOST's own DINO ViT-S/16 50.7; not run.
_base_ = ['./lost_voc.py']

test_dataloader = dict(
    dataset=dict(
        root='data/coco',
        split='train2014',
        ann_file='annotations/instances_train2014.json',
        id_file='coco_20k_filenames.txt'))
