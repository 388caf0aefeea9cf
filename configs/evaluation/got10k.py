# A training-free box tracker on GOT-10k's validation videos: AO and SR.
# NOT the paper's number: the paper fine-tunes a tracker.
# Command: python tools/test.py configs/evaluation/got10k.py CHECKPOINT \
#     --data PATH, the folder with val
# Of the test split, test_dataloader.dataset.split=test, it writes the boxes,
# as the benchmark's server takes them, to WORK_DIR/results.
# Expected, of a fine-tuned tracker: AO DoRA, Venice 41.4 [DoRA]; DINO,
#   ImageNet-1k 46.4 [DoRA]; not run.
_base_ = ['./davis2017.py']

model = dict(type='dora_mm.BoxTracker')
test_dataloader = dict(
    dataset=dict(
        _delete_=True, type='dora_mm.GOT10kDataset', root='data/GOT-10k'))
test_evaluator = dict(_delete_=True, type='dora_mm.GOT10kMetric', out_dir=None)
