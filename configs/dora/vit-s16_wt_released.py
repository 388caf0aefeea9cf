# DoRA, ViT-S/16, one Walking Tours video: what the authors' code computes.
# It differs from the paper; docs/paper_vs_code.md lists the switches.
# Command: bash tools/dist_train.sh configs/dora/vit-s16_wt_released.py 8
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected: ADE20K UPerNet DoRA, Venice 35.4 [DoRA], 35.2 [PooDLe]; DoRA, ten
#   videos 38.3 [PooDLe]; DoRA, Zurich 21.6 [EgoViT]; DINO, ImageNet-1k 33.9
#   [DoRA]; DINO, Venice 29.2 [PooDLe]; DINO, Zurich 21.2 [EgoViT]; ImageNet
#   linear DoRA, Venice 44.5 [DoRA]; DoRA, Zurich 29.6 [EgoViT]; DINO,
#   ImageNet-1k 72 [DoRA]; DINO, Venice 33.8 [DoRA]; DINO, Zurich 30.9
#   [EgoViT].
_base_ = ['./vit-s16_wt.py']

model = dict(
    track_layer=-1,
    patch_feature='final',
    head=dict(normalize_tokens=True, plan_mass='patch', sync_draw=False),
    mask=dict(mode='batch'),
    loss=dict(
        object_weight=0.5,
        local_weight=0.5,
        carry_frame_loss=True,
        skip_first_local=True),
    data_preprocessor=dict(global_views=dict(num=1, solarize_prob=0.)))

train_dataloader = dict(
    dataset=dict(
        video='data/walking_tours/Amsterdam.mp4',
        frame_interval=None,
        frame_stride=60))
