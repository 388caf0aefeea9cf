"""The ImageNet recipes, by mmpretrain's own tools/train.py."""
import numpy as np
import pytest
import torch
from hosts import (ARCH, SCHEDULE, assert_backbone_is_frozen,
                   assert_layer_decay, train)

BASE = f"""
_base_ = __import__('dora_mm').config_path('benchmarks/mmpretrain/NAME')
steps = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=64),
    dict(type='PackInputs')
]
data = dict(
    data_root='in1k', pipeline=steps, metainfo=dict(classes=['n0', 'n1']))
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=data)
val_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=data)
{SCHEDULE}
backbone = dict(
    arch=dict(_delete_=True, **{ARCH}),
    img_size=64,
    init_cfg=dict(checkpoint='CHECKPOINT'))
"""
FINE_TUNE = BASE.replace('NAME', 'fine-tune_vit-s16_in1k') + """
model = dict(
    backbone=backbone, head=dict(in_channels=64), train_cfg=None)
optim_wrapper = dict(optimizer=dict(lr=1e-2))
train_cfg = dict(max_epochs=8, val_interval=8)
"""
LINEAR = BASE.replace('NAME', 'linear_vit-s16_in1k') + """
model = dict(backbone=backbone, head=dict(in_channels=4 * 64))
train_cfg = dict(max_epochs=8, val_interval=8)
"""


@pytest.fixture
def write_config(tmp_path, published, draw_squares):
    """A config over ImageNet's folders, two classes of two images."""
    for i in range(4):
        for split in ('train', 'val'):
            folder = tmp_path / 'in1k' / split / f'n{i % 2}'
            folder.mkdir(parents=True, exist_ok=True)
            draw_squares(i)[0].save(folder / f'{i}.JPEG')

    def write(text):
        path = tmp_path / 'config.py'
        path.write_text(text.replace('CHECKPOINT', str(published)))
        return path

    return write


def test_fine_tuning_learns_with_layerwise_rates(write_config, tmp_path):
    run = train('mmpretrain', write_config(FINE_TUNE), tmp_path / 'run')
    assert len(run.losses) == 8 and np.isfinite(run.losses).all()
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert 0 <= run.logs[-1]['accuracy/top1'] <= 100
    assert_layer_decay(
        run,
        base_lr=1e-2,
        rate=0.75,
        weight_decay=0.05,
        exempt=('backbone.pos_embed', 'backbone.cls_token'))


def test_linear_sweep_keeps_the_backbone_and_resumes(write_config, published,
                                                     tmp_path):
    config = write_config(LINEAR)
    run = train('mmpretrain', config, tmp_path / 'run')
    best = [log['best_ce'] for log in run.logs if 'best_ce' in log]
    assert np.isfinite(run.losses).all() and best[-1] < 0.5 * best[0]
    assert run.logs[-1]['sweep/top1_best'] >= 75
    assert_backbone_is_frozen(run, published)
    groups = run.checkpoint['optimizer']['param_groups']
    # Weight and bias of each classifier, the rates times 1024 / 256.
    assert len(groups) == 2 * 45
    for i, group in enumerate(groups):
        power, digit = divmod(i // 2, 9)
        rate = (digit + 1) * 10.**(power - 4)
        assert group['lr'] == pytest.approx(4 * rate, rel=1e-6)

    again = train('mmpretrain', config, tmp_path / 'run', '--resume',
                  '--cfg-options', 'train_cfg.max_epochs=9')
    assert [log['step'] for log in again.logs if 'best_ce' in log] == [9]
    assert_backbone_is_frozen(again, published)
    name = 'head.classifiers.20.weight'
    assert not torch.equal(again.checkpoint['state_dict'][name],
                           run.checkpoint['state_dict'][name])
