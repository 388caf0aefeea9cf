# Object discovery on COCO20k by four protocols, as discovery_voc.py.
# Command: python tools/test.py configs/evaluation/discovery_coco20k.py \
#     CHECKPOINT --data PATH, with train2014, annotations and LOST's list
# Expected, of LOST: DINO, ImageNet-1k 50.7 [LOST]; of attention the paper
#   names no set; not run.
_base_ = ['./discovery_voc.py']

test_dataloader = dict(
    dataset=dict(
        root='data/coco',
        split='train2014',
        ann_file='annotations/instances_train2014.json',
        id_file='coco_20k_filenames.txt'))
