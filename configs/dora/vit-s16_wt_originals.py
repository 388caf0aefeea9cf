# DoRA, ViT-S/16, Walking Tours as downloaded: the recipe of vit-s16_wt.py, its
# clips shuffled by blocks of neighbours, for 4K video that nobody prepared.
# It mixes less than the full shuffle of a prepared video (docs/benchmarks.md).
# Command: bash tools/dist_train.sh configs/dora/vit-s16_wt_originals.py 8
# Hardware and time: 8 GPUs of 32 GB, 2 GB of memory a worker; not run by us.
# Expected: not run.
_base_ = ['./vit-s16_wt.py']

num_workers = 8

train_dataloader = dict(
    num_workers=num_workers,
    sampler=dict(
        _delete_=True,
        type='dora_mm.BlockClipSampler',
        batch_size=_base_.clips_per_gpu,
        # A multiple of the number of workers.
        num_lanes=num_workers,
        block_clips=480,
        active_blocks=8),
    dataset=dict(
        pipeline=[
            dict(type='dora_mm.LoadClipFromBlock', short_side=600),
            *_base_.train_dataloader.dataset.pipeline[1:],
        ]))
