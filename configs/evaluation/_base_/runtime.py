default_scope = 'mmpretrain'
custom_imports = dict(imports=['dora_mm.engine'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100000),
    checkpoint=None,
    param_scheduler=None)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
log_level = 'WARNING'
randomness = dict(seed=0)

# What tools/test.py fills in from the command line.
backbone = dict(type='dora_mm.load_backbone', source=None)
