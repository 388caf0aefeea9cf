# DINO, ViT-S/16, on the frames of Walking Tours clips, with DINO's own crops
# (8 local ones of 96 pixels, its blur) and weights: one mean over all pairs
# of views. The rate is the main recipe's, 5e-4 for 256 clips, which is 6.25e-5
# for 256 frames; DINO's own 5e-4 for 256 pictures would be 8 times that.
# Command: bash tools/dist_train.sh configs/dino/vit-s16_wt_own-terms.py 8
# Hardware and time: 8 GPUs of 32 GB; not run by us.
# Expected: see vit-s16_wt.py; whose terms those numbers had is not known.
_base_ = ['./vit-s16_wt.py']

model = dict(
    loss=dict(mean_over_pairs=True),
    data_preprocessor=dict(
        global_views=dict(
            interpolation='bicubic', blur_prob=(1., 0.1)),
        local_views=dict(num=8, size=96, flip_prob=0.5)))
