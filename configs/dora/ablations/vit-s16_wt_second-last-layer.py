# Another reading of Fig. 3: queries, keys and attention of the second last
# layer, Z~ the output of its attention, eq. 4 and 5 to the letter. All objects
# coincide in it (docs/paper_vs_code.md).
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_second-last-layer.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(
    track_layer=-2,
    patch_feature='attention',
    head=dict(normalize_tokens=False, plan_mass='unit'))
