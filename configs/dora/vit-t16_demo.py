# DoRA, tiny, on the CPU in minutes: the whole pipeline on a short video.
# Command: bash tools/run_demo.sh
# Hardware and time: 2 CPU cores, see the README; it shows that the parts work
# together, not what DoRA can learn.
_base_ = ['./vit-s16_wt.py']

clips_per_gpu = 3
max_epochs = 4

model = dict(
    backbone=dict(arch='deit-tiny', img_size=112, drop_path_rate=0.),
    neck=dict(
        out_channels=256,
        hidden_channels=512,
        bottleneck_channels=128),
    # A small epsilon separates the objects of a model that has learnt little;
    # the smaller it is, the more iterations Sinkhorn-Knopp needs.
    head=dict(num_objects=2, epsilon=0.002, num_iters=300),
    # In minutes a loss falls only if the task is easy: colours stay as they
    # are, the teacher is sharp, and the centre follows it closely.
    loss=dict(center_momentum=0.8),
    data_preprocessor=dict(
        global_views=dict(size=112, blur_prob=0., solarize_prob=0.),
        local_views=dict(num=2, size=64, blur_prob=0.),
        color_jitter=dict(prob=0.),
        gray_prob=0.))

train_dataloader = dict(
    batch_size=clips_per_gpu,
    num_workers=1,
    pin_memory=False,
    dataset=dict(
        video='work_dirs/demo/generated.mp4',
        clip_len=4,
        frame_interval=0.25,
        start_stride=2,
        # The generated video has no cuts, and none were looked for.
        across_cuts=True))

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    # At higher rates patches grow alike faster than the tracks part: with
    # 2e-4 two objects overlap by .68 in the end, with 5e-4 by .76.
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.04, fused=True),
    constructor='dora_mm.DecayGroupsConstructor')
auto_scale_lr = dict(base_batch_size=clips_per_gpu)

param_scheduler = [
    dict(_base_.param_scheduler[0], warmup=1), _base_.param_scheduler[1]
]
train_cfg = dict(max_epochs=max_epochs)

custom_hooks = [
    dict(type='dora_mm.StepSeedHook'),
    dict(type='dora_mm.PerParameterClipHook', max_norm=3.),
    dict(type='dora_mm.FreezeLastLayerHook', num_epochs=1),
    # Of its random start the teacher keeps the product of all momenta: 2 %.
    dict(type='dora_mm.TeacherEMAHook', momentum=0.97, end_momentum=0.97),
    dict(
        type='dora_mm.TeacherTempHook', start=0.02, end=0.02, warmup_epochs=0),
    dict(type='dora_mm.PretrainMonitorHook'),
    dict(type='dora_mm.ReplacedClipHook', max_share=0.01, min_clips=100),
]

default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=50))
