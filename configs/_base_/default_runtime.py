default_scope = 'mmpretrain'
custom_imports = dict(imports=['dora_mm.engine'], allow_failed_imports=False)

default_hooks = dict(
    # Reads losses as often as they are logged, not at every iteration.
    runtime_info=dict(type='dora_mm.LateRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # By iteration: an epoch over an hours-long video takes hours. Two are kept
    # in case that one is damaged later.
    checkpoint=dict(
        type='dora_mm.StepCheckpointHook',
        by_epoch=False,
        interval=2000,
        max_keep_ckpts=2,
        backend_args=dict(backend='dora_mm.atomic')),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    finite=dict(type='dora_mm.FiniteHook'),
    plan=dict(type='dora_mm.RunPlanHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))

# Of several processes: gradients lie where they are reduced, which spares a
# copy of them. Reduction overlaps with the rest of the backward pass.
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel',
    broadcast_buffers=False,
    gradient_as_bucket_view=True)

vis_backends = [dict(type='LocalVisBackend')]
# An import statement would make official mmengine read this file otherwise.
if __import__('importlib.util').util.find_spec('tensorboard'):
    vis_backends.append(dict(type='TensorboardVisBackend'))
visualizer = dict(type='Visualizer', vis_backends=vis_backends)

# All that varies from step to step is logged as a mean since the last line.
log_processor = dict(type='dora_mm.StepLogProcessor')
log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
