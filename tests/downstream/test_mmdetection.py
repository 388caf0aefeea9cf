"""The COCO recipes, by mmdetection's own tools/train.py, masks and all."""
import json

import numpy as np
import pytest
from hosts import (ARCH, SCHEDULE, assert_backbone_is_frozen,
                   assert_layer_decay, train)

pytest.importorskip(
    'mmdet', reason='mmdetection: DORA_MM_DET=1 bash tools/setup_env.sh')

BASE = f"""
_base_ = __import__('dora_mm').config_path('benchmarks/mmdetection/NAME')
steps = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(96, 64), keep_ratio=False),
    dict(type='PackDetInputs')
]
data = dict(
    data_root='coco/',
    ann_file='instances.json',
    data_prefix=dict(img='images/'))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(pipeline=steps, **data))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(**data))
val_evaluator = dict(ann_file='coco/instances.json')
{SCHEDULE}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, **{ARCH}),
        img_size=(64, 96),
        init_cfg=dict(checkpoint='CHECKPOINT')),
    neck=[
        dict(type='dora_mm.ViTPyramid', in_channels=64,
             norm_cfg=dict(type='SyncBN')),
        dict(type='FPN', in_channels=[64] * 4, out_channels=256, num_outs=5)
    ],
    train_cfg=dict(rpn_proposal=dict(nms_pre=50, max_per_img=50)),
    test_cfg=dict(rpn=dict(nms_pre=20, max_per_img=20)))
for step in _base_.test_pipeline:
    if step['type'] == 'Resize':
        step.update(scale=(96, 64), keep_ratio=False)
val_dataloader['dataset']['pipeline'] = _base_.test_pipeline
"""
MASK_RCNN = BASE.replace('NAME', 'mask-rcnn_vit-s16_fpn_1x_coco') + """
model['roi_head'] = dict(
    bbox_head=dict(fc_out_channels=256),
    mask_head=dict(num_convs=1, conv_out_channels=32))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=8, val_interval=8)
default_hooks['checkpoint'] = dict(interval=8)
"""
CASCADE = BASE.replace('NAME', 'cascade-mask-rcnn_vit-s16_fpn_1x_coco') + """
model['backbone']['frozen_stages'] = 12
model['roi_head'] = dict(
    bbox_head=_base_.model.roi_head.bbox_head,
    mask_head=dict(num_convs=1, conv_out_channels=32))
for head in model['roi_head']['bbox_head']:
    head.update(fc_out_channels=64)
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def write_config(tmp_path, published, draw_squares):
    """A config over a COCO file with polygons, two images of two objects."""
    (tmp_path / 'coco' / 'images').mkdir(parents=True)
    coco = dict(
        images=[],
        annotations=[],
        categories=[dict(id=1, name='person'),
                    dict(id=2, name='bicycle')])
    for i in (1, 2):
        image, masks = draw_squares(i)
        image.save(tmp_path / 'coco' / 'images' / f'{i}.jpg')
        coco['images'].append(
            dict(id=i, file_name=f'{i}.jpg', width=64, height=64))
        for category, mask in enumerate(masks, 1):
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            x, y = int(columns[0]), int(rows[0])
            right, bottom = int(columns[-1]) + 1, int(rows[-1]) + 1
            coco['annotations'].append(
                dict(
                    id=2 * i + category,
                    image_id=i,
                    category_id=category,
                    iscrowd=0,
                    area=(right - x) * (bottom - y),
                    bbox=[x, y, right - x, bottom - y],
                    segmentation=[[x, y, right, y, right, bottom, x, bottom]]))
    (tmp_path / 'coco' / 'instances.json').write_text(json.dumps(coco))

    def write(text):
        path = tmp_path / 'config.py'
        path.write_text(text.replace('CHECKPOINT', str(published)))
        return path

    return write


def test_mask_rcnn_learns_with_layerwise_rates(write_config, tmp_path):
    run = train('mmdet', write_config(MASK_RCNN), tmp_path / 'run')
    assert len(run.losses) == 8 and np.isfinite(run.losses).all()
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(run.logs[-1])
    assert_layer_decay(run, base_lr=1e-3, rate=0.8, weight_decay=0.05)


def test_cascade_keeps_a_frozen_backbone_and_resumes(write_config, published,
                                                     tmp_path):
    config = write_config(CASCADE)
    run = train('mmdet', config, tmp_path / 'run')
    assert np.isfinite(run.losses).all()
    again = train('mmdet', config, tmp_path / 'run', '--resume',
                  '--cfg-options', 'train_cfg.max_epochs=2')
    assert [log['step'] for log in again.logs if 'loss' in log] == [2]
    for each in (run, again):
        assert_backbone_is_frozen(each, published, absent=('ln1', ))
