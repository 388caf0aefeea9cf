# As davis2017.py, all objects of a video as one.
# Command: python tools/test.py configs/evaluation/davis2016.py CHECKPOINT \
#     --data PATH
# Expected: docs/learning.md has six videos; the whole set was not run.
_base_ = ['./davis2017.py']

test_dataloader = dict(dataset=dict(year=2016))
