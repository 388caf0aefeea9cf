# Nearest neighbours on a small set of small images: 10 classes of CIFAR-10,
# 500 and 100 images each, enlarged to the size of the demo's views.
# Command: python tools/test.py configs/evaluation/knn_cifar10-mini.py \
#     CHECKPOINT --data PATH, a folder or tar file with train/CLASS, test/CLASS
# Expected: docs/learning.md.
_base_ = ['./knn_imagenet.py']

size = 112
small = dict(
    root='data/cifar10_mini.tar',
    pipeline=[
        dict(type='dora_mm.DecodeImage'),
        dict(
            type='mmcv.Resize',
            scale=(size, size),
            backend='pillow',
            interpolation='bicubic'),
        dict(type='mmpretrain.PackInputs'),
    ])
loader = dict(batch_size=50, num_workers=1)
test_dataloader = dict(loader, dataset=dict(small, split='test'))
test_cfg = dict(
    memory_dataloader=dict(loader, dataset=small),
    variants=('cls', 'cls_white', 'patch', 'patch_white'))
