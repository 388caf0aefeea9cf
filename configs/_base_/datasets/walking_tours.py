# One video, a list of videos, or a folder of them.
video = 'data/walking_tours'
clip_len = 8  # T
clips_per_gpu = 6

train_dataloader = dict(
    batch_size=clips_per_gpu,
    num_workers=10,
    drop_last=True,
    persistent_workers=True,
    pin_memory=True,
    # Seconds. A decoder that hangs ends the run with the reason.
    timeout=600,
    sampler=dict(type='dora_mm.ClipSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='dora_mm.WalkingToursVideoDataset',
        video=video,
        clip_len=clip_len,
        frame_interval=1.,
        pipeline=[
            dict(type='dora_mm.LoadClipFromVideo'),
            dict(
                type='dora_mm.ClipRandomResizedCrop',
                size=300,
                scale=(0.2, 1.)),
            dict(type='dora_mm.PackClipInputs'),
        ]))
