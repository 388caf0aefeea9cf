base_clips = 256  # of all GPUs together, at the rate below
base_lr = 5e-4
max_epochs = 100
warmup_epochs = 10
teacher_temp = 0.04

optim_wrapper = dict(
    type='dora_mm.MixedPrecisionOptimWrapper',
    # Fused, it also spares AMP's wait for the device in every step.
    optimizer=dict(
        type='AdamW', lr=base_lr, weight_decay=0.04, fused=True),
    constructor='dora_mm.DecayGroupsConstructor')
auto_scale_lr = dict(enable=False, base_batch_size=base_clips)

param_scheduler = [
    dict(
        type='dora_mm.WarmupCosineScheduler',
        param_name='lr',
        final_value=1e-5,
        warmup=warmup_epochs,
        convert_to_iter_based=True),
    dict(
        type='dora_mm.WarmupCosineScheduler',
        param_name='weight_decay',
        final_value=0.4,
        convert_to_iter_based=True),
]

train_cfg = dict(type='dora_mm.ResumableEpochLoop', max_epochs=max_epochs)

custom_hooks = [
    dict(type='dora_mm.StepSeedHook'),
    dict(type='dora_mm.PerParameterClipHook', max_norm=3.),
    dict(type='dora_mm.FreezeLastLayerHook', num_epochs=1),
    dict(type='dora_mm.TeacherEMAHook', momentum=0.996, end_momentum=1.),
    dict(
        type='dora_mm.TeacherTempHook',
        start=0.04,
        end=teacher_temp,
        warmup_epochs=30),
    dict(type='dora_mm.PretrainMonitorHook'),
    dict(type='dora_mm.ReplacedClipHook', max_share=0.01),
]
