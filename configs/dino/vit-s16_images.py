# DINO, ViT-S/16, on images in place of a video: the recipe of vit-s16_wt.py
# with clips of one frame, as many pictures in a step, at its learning rate.
# DINO's own rate for as many is optim_wrapper.optimizer.lr=7.5e-4.
# Command: bash tools/dist_train.sh configs/dino/vit-s16_images.py 8
# Images: a folder, a tar file, a list or a COCO file.
#   --cfg-options train_dataloader.dataset.images=PATH
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected: not run.
_base_ = ['./vit-s16_wt.py']

images_per_gpu = _base_.clips_per_gpu * _base_.clip_len

train_dataloader = dict(
    batch_size=images_per_gpu,
    dataset=dict(
        _delete_=True,
        type='dora_mm.ImageClipDataset',
        images='data/imagenet/train',
        # Without what loads frames of a video.
        pipeline=_base_.train_dataloader.dataset.pipeline[1:]))
auto_scale_lr = dict(base_batch_size=8 * images_per_gpu)
