"""The recipes of segmentation, by mmsegmentation's own tools/train.py."""
import re

import numpy as np
import pytest
import torch
from clean_python import ROOT
from hosts import (ARCH, SCHEDULE, assert_backbone_is_frozen,
                   assert_layer_decay, train)
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

from dora_mm import config_path

pytest.importorskip('mmseg')

BASE = f"""
_base_ = __import__('dora_mm').config_path('benchmarks/mmsegmentation/NAME')
backbone = dict(
    arch=dict(_delete_=True, **{ARCH}),
    img_size=64,
    init_cfg=dict(checkpoint='CHECKPOINT'))
steps = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root='ade', pipeline=steps))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(
        data_root='ade', pipeline=[steps[0], steps[2], steps[1], steps[3]]))
train_cfg = dict(max_iters=10, val_interval=10)
{SCHEDULE}
default_hooks['checkpoint'] = dict(interval=10)
"""
UPERNET = BASE.replace('NAME', 'upernet_vit-s16_ade20k-160k') + """
model = dict(
    backbone=backbone,
    data_preprocessor=dict(size=(64, 64)),
    neck=dict(in_channels=64),
    decode_head=dict(in_channels=[64] * 4, channels=16),
    auxiliary_head=dict(in_channels=64, channels=16),
    test_cfg=dict(crop_size=(64, 64), stride=(43, 43)))
optim_wrapper = dict(optimizer=dict(lr=1e-2))
"""
LINEAR = BASE.replace('NAME', 'linear_vit-s16_ade20k-160k') + """
model = dict(
    backbone=backbone,
    data_preprocessor=dict(size=(64, 64)),
    decode_head=dict(in_channels=[64] * 4, channels=256),
    test_cfg=dict(crop_size=(64, 64), stride=(43, 43)))
optim_wrapper = dict(optimizer=dict(lr=1e-2))
"""


@pytest.fixture
def write_config(tmp_path, published, draw_squares):
    """A config over ADE20K's folders: two images to train, one to test."""
    for split, seeds in (('training', (0, 1)), ('validation', (2, ))):
        images = tmp_path / 'ade' / 'images' / split
        labels = tmp_path / 'ade' / 'annotations' / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for seed in seeds:
            image, masks = draw_squares(seed, size=72)
            classes = np.where(masks[0], 5, np.where(masks[1], 150, 1))
            classes[:4] = 0  # unlabelled
            image.save(images / f'ADE_{seed}.jpg')
            Image.fromarray(classes.astype(np.uint8)).save(labels /
                                                           f'ADE_{seed}.png')

    def write(text):
        path = tmp_path / 'config.py'
        path.write_text(text.replace('CHECKPOINT', str(published)))
        return path

    return write


def test_upernet_learns_with_layerwise_rates(write_config, tmp_path):
    run = train('mmseg', write_config(UPERNET), tmp_path / 'run')
    assert len(run.losses) == 10 and np.isfinite(run.losses).all()
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert 0 <= run.logs[-1]['mIoU'] <= 100
    assert_layer_decay(run, base_lr=1e-2, rate=0.9, weight_decay=0.05)


def test_layers_behind_frozen_ones_learn(write_config, published, tmp_path):
    """mmengine's checkpointing gave none of them a gradient."""
    run = train('mmseg', write_config(UPERNET), tmp_path / 'run',
                '--cfg-options', 'model.backbone.frozen_stages=2',
                'train_cfg.max_iters=2')
    source = torch.load(published, weights_only=True)['state_dict']
    for layer in range(12):
        name = f'backbone.layers.{layer}.attn.qkv.weight'
        same = torch.equal(run.checkpoint['state_dict'][name], source[name])
        assert same == (layer < 2), name


def test_linear_keeps_the_backbone_and_resumes(write_config, published,
                                               tmp_path):
    config = write_config(LINEAR)
    run = train('mmseg', config, tmp_path / 'run')
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert_backbone_is_frozen(run, published)
    # The 1x1 convolution on four levels is all that is trained.
    groups = run.checkpoint['optimizer']['param_groups']
    shapes = [
        tuple(run.checkpoint['optimizer']['state'][i]['exp_avg'].shape)
        for group in groups for i in group['params']
    ]
    assert shapes == [(150, 4 * 64, 1, 1), (150, )]

    again = train('mmseg', config, tmp_path / 'run', '--resume',
                  '--cfg-options', 'train_cfg.max_iters=11')
    assert [log['step'] for log in again.logs if 'loss' in log] == [11]
    assert again.losses[0] < run.losses[0]
    assert_backbone_is_frozen(again, published)
    name = 'decode_head.conv_seg.weight'
    assert not torch.equal(again.checkpoint['state_dict'][name],
                           run.checkpoint['state_dict'][name])


DEPTH = f"""
_base_ = __import__('dora_mm').config_path(
    'benchmarks/mmsegmentation/linear_vit-s16_nyu-38k')
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=5, val_interval=5)
{SCHEDULE}
default_hooks['checkpoint'] = dict(interval=5)
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, **{ARCH}),
        init_cfg=dict(checkpoint='CHECKPOINT')),
    decode_head=dict(in_channels=64, warmup_iters=0))
optim_wrapper = dict(optimizer=dict(lr=1e-2))
"""


def test_depth_is_learned_and_measured(tmp_path, published, draw_squares):
    """Millimetres on disk, metres in the numbers, which are made anew."""
    for split, seeds in (('train', (0, 1)), ('test', (2, ))):
        for kind in ('images', 'annotations'):
            (tmp_path / 'data/nyu' / kind / split).mkdir(parents=True)
        for seed in seeds:
            image, masks = draw_squares(seed, size=640)
            image = image.crop((0, 0, 640, 480))
            depth = np.where(masks[:, :480].any(0), 1500, 4000)
            depth[100:200] = 0  # not known
            depth[300:320] = 12000  # too far
            path = f'{split}/study_{seed:05}'
            image.save(tmp_path / f'data/nyu/images/{path}.jpg')
            Image.fromarray(depth.astype(np.uint16)).save(
                tmp_path / f'data/nyu/annotations/{path}.png')
    config = tmp_path / 'config.py'
    config.write_text(DEPTH.replace('CHECKPOINT', str(published)))
    run = train('mmseg', config, tmp_path / 'run')
    assert run.losses[-1] < 0.8 * run.losses[0]
    assert_backbone_is_frozen(run, published)

    init_default_scope('mmseg')
    model = MODELS.build(Config.fromfile(config).model).eval()
    model.load_state_dict(run.checkpoint['state_dict'])
    image = np.array(Image.open(tmp_path / f'data/nyu/images/{path}.jpg'))
    pixels = torch.from_numpy(image).permute(2, 0, 1).float()
    pixels = (pixels - torch.tensor([123.675, 116.28, 103.53])[:, None, None]
              ) / torch.tensor([58.395, 57.12, 57.375])[:, None, None]
    with torch.no_grad():
        found, mirrored = (
            model.decode_head.predict(
                model.backbone(x[None]), [dict(img_shape=(480, 640))], None)
            for x in (pixels, pixels.flip(2)))
    found = ((found + mirrored.flip(3)) / 2)[0, 0].numpy()
    errors = [(found[y, x], depth[y, x] / 1000) for y in range(45, 471)
              for x in range(41, 601) if 1 < depth[y, x] < 10000]
    p, t = np.array(errors, float).T
    expected = dict(
        rmse=((p - t)**2).mean()**.5,
        abs_rel=(abs(p - t) / t).mean(),
        d1=((p / t < 1.25) & (t / p < 1.25)).mean())
    for name, value in expected.items():
        assert run.logs[-1][name] == pytest.approx(value, rel=1e-4), name


def write_voc(root, image, labels):
    """A picture in each list; the borders of objects are void, 255."""
    root = root / 'data/VOCdevkit/VOC2012'
    for name in ('ImageSets/Segmentation', 'JPEGImages', 'SegmentationClass',
                 'SegmentationClassAug'):
        (root / name).mkdir(parents=True)
    labels = np.where(labels == 2, 255, labels * 20)
    for split in ('train', 'aug', 'val'):
        image.save(root / f'JPEGImages/{split}.jpg')
        kind = 'Aug' if split == 'aug' else ''
        Image.fromarray(labels.astype(np.uint8)).save(
            root / f'SegmentationClass{kind}/{split}.png')
        (root / f'ImageSets/Segmentation/{split}.txt').write_text(split)
    return {0, 20, 255}, 2


def write_cityscapes(root, image, labels):
    """A picture of a town in each split, with the ids that are trained."""
    root = root / 'data/cityscapes'
    labels = np.where(labels == 2, 255, labels * 18)
    for split, town in (('train', 'aachen'), ('val', 'lindau')):
        stem = f'{split}/{town}/{town}_000000_000019'
        for kind in ('leftImg8bit', 'gtFine'):
            (root / kind / split / town).mkdir(parents=True)
        image.save(root / f'leftImg8bit/{stem}_leftImg8bit.png')
        Image.fromarray(labels.astype(np.uint8)).save(
            root / f'gtFine/{stem}_gtFine_labelTrainIds.png')
    return {0, 18, 255}, 1


@pytest.mark.parametrize('name, write', [('voc12', write_voc),
                                         ('cityscapes', write_cityscapes)])
def test_layouts_of_linear_segmentation(name, write, tmp_path, monkeypatch,
                                        draw_squares):
    """Images and masks as they lie on disk meet the classes of the head."""
    monkeypatch.chdir(tmp_path)
    image, masks = draw_squares(0, size=600)
    found, train_images = write(tmp_path, image, masks[0] + 2 * masks[1])
    cfg = Config.fromfile(
        config_path(f'benchmarks/mmsegmentation/linear_vit-s16_{name}-40k'))
    init_default_scope('mmseg')
    train, val = (
        DATASETS.build(loader.dataset)
        for loader in (cfg.train_dataloader, cfg.val_dataloader))
    assert len(train) == train_images and len(val) == 1
    sample = val[0]['data_samples']
    assert set(sample.gt_sem_seg.data.unique().tolist()) == found
    assert len(val.metainfo['classes']) == cfg.model.decode_head.num_classes
    for i in range(train_images):
        labels = train[i]['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= found


def test_config_of_the_readme(tmp_path, published, draw_squares):
    """The file as it is printed; what follows makes network and run small."""
    readme = (ROOT / 'README.md').read_text()
    text = re.search(r'```python\n(# segment\.py\n.*?)```', readme, re.S)[1]
    text = text.replace('dora_vit-s16.pth', str(published))
    path = tmp_path / 'segment.py'
    path.write_text(text + f"""
model['backbone'].update(
    arch=dict(_delete_=True, **{ARCH}), img_size=64)
model['data_preprocessor'] = dict(size=(64, 64))
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', scale=(64, 64)), dict(type='PackSegInputs')]
model['neck'] = dict(in_channels=64)
model['decode_head'].update(in_channels=[64] * 4, channels=16)
model['auxiliary_head'].update(in_channels=64, channels=16)
model['test_cfg'] = dict(crop_size=(64, 64), stride=(43, 43))
train_dataloader.update(
    batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader.update(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=2, val_interval=2)
{SCHEDULE}
default_hooks['checkpoint'] = dict(interval=2)
""")
    for split in ('train', 'val'):
        for kind in ('images', 'masks'):
            (tmp_path / 'data/street' / kind / split).mkdir(parents=True)
        image, masks = draw_squares(0, size=72)
        image.save(tmp_path / f'data/street/images/{split}/a.jpg')
        Image.fromarray(np.where(masks[0], 2, 1).astype(np.uint8)).save(
            tmp_path / f'data/street/masks/{split}/a.png')
    run = train('mmseg', path, tmp_path / 'run')
    assert len(run.losses) == 2 and np.isfinite(run.losses).all()
    weight = run.checkpoint['state_dict']['decode_head.conv_seg.weight']
    assert weight.shape == (2, 16, 1, 1)
    assert 0 < run.logs[-1]['mIoU'] < 100
