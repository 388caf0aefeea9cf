# DoRA, ViT-S/16, Walking Tours: the recipe of vit-s16_wt.py, its JPEGs decoded
# on the device, for a machine with fewer than four cores a GPU: nvJPEG of an
# H200 decoded 62 clips of 854x480 a second. Videos must be prepared by
# tools/prepare_video.py, as JPEGs.
# Command: bash tools/dist_train.sh configs/dora/vit-s16_wt_device-decode.py 8
# Hardware and time: 8 GPUs of 32 GB; not run on a GPU by us.
# Expected: not run.
_base_ = ['./vit-s16_wt.py']

model = dict(data_preprocessor=dict(type='dora_mm.JPEGClipPreprocessor'))
train_dataloader = dict(
    num_workers=2,
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        pipeline=[
            dict(type='dora_mm.ReadClipJPEGs'),
            *_base_.train_dataloader.dataset.pipeline[1:],
        ]))
