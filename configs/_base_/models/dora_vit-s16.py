model = dict(
    type='dora_mm.DoRA',
    # The reading of the paper that docs/paper_vs_code.md explains.
    track_layer=-1,
    patch_feature='final',
    backbone=dict(
        type='dora_mm.DoRAViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        drop_path_rate=0.1,
        pos_interp='dino'),
    neck=dict(
        type='dora_mm.DINONeck',
        out_channels=65536,  # P
        norm_last_layer=False),
    head=dict(
        type='dora_mm.SinkhornPrototypeHead',
        num_objects=3,
        refine=True,
        normalize_tokens=True,
        plan_mass='patch',
        epsilon=0.05,
        num_iters=30),
    mask=dict(type='dora_mm.MultiObjectMaskTransform', mode='map'),
    loss=dict(type='dora_mm.DoRALoss'),
    data_preprocessor=dict(
        type='dora_mm.ClipViewPreprocessor',
        global_views=dict(num=2, size=224, scale=(0.4, 1.)),
        local_views=dict(num=6, size=112, scale=(0.05, 0.4))))
