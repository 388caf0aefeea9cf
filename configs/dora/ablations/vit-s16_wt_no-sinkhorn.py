# The paper's ablation of Sinkhorn-Knopp: the raw tracks of eq. 3. They belong
# beside every result, since they may be as good (docs/paper_vs_code.md).
# Command: bash tools/dist_train.sh \
#     configs/dora/ablations/vit-s16_wt_no-sinkhorn.py 8
# Expected: not run.
_base_ = ['../vit-s16_wt.py']

model = dict(head=dict(refine=False))
