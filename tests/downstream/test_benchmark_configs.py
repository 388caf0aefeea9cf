"""Every downstream config builds in its host, and holds iBOT's numbers."""
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, init_default_scope
from PIL import Image

from dora_mm.utils.shipped_configs import config_path, list_configs

HOSTS = dict(mmsegmentation='mmseg', mmdetection='mmdet')
CONFIGS = [name for name in list_configs() if name.startswith('benchmarks/')]


def load(name):
    host = name.split('/')[1]
    pytest.importorskip(HOSTS.get(host, host))
    cfg = Config.fromfile(config_path(name))
    init_default_scope(cfg.default_scope)
    return cfg


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
    """A file that notes that it is to be turned upside down, and its pixels,
    which labels count."""
    path = str(tmp_path_factory.mktemp('photo') / 'a.png')
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x112] = 3
    Image.fromarray(pixels).save(path, exif=exif)
    return path, pixels


@pytest.mark.parametrize('name', CONFIGS)
def test_it_builds(name, photo):
    cfg = load(name)
    # What the runner writes beside a run can be read again.
    Config.fromstring(cfg.pretty_text, '.py')
    assert cfg.model.backbone.init_cfg.prefix == 'backbone.'
    cfg.model.backbone.init_cfg = None
    cfg.model.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(len(g['params'])
               for g in wrapper.optimizer.param_groups) == len(trained)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        for dataset in loader.dataset.get('datasets', [loader.dataset]):
            with DATASETS.switch_scope_and_registry(None) as registry:
                assert registry.get(dataset.type) is not None
            for step in dataset.pipeline:
                transform = TRANSFORMS.build(step)
                if step.type == 'LoadImageFromFile':
                    found = transform(dict(img_path=photo[0]))['img']
                    assert np.array_equal(found[..., ::-1], photo[1])


def test_segmentation_is_ibots():
    cfg = load('benchmarks/mmsegmentation/upernet_vit-s16_ade20k-160k.py')
    assert cfg.optim_wrapper.optimizer.lr == 3e-5
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == 0.9
    assert cfg.model.decode_head.channels == 384
    assert cfg.model.test_cfg.stride == (341, 341)
    warmup, decay = cfg.param_scheduler
    assert warmup.end == decay.begin == 1500 and decay.end == 160000
    assert 4 * cfg.train_dataloader.batch_size == 16
    ratios = [t.scale[1] / 512 for t in cfg.tta_pipeline[1].transforms[0]]
    assert ratios == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


@pytest.mark.parametrize('epochs, rate, batch, steps', [
    (12, 0.8, 4, [8, 11]),
    (36, 0.75, 2, [27, 33]),
])
def test_detection_is_ibots(epochs, rate, batch, steps):
    name = f'cascade-mask-rcnn_vit-s16_fpn_{epochs // 12}x_coco.py'
    cfg = load(f'benchmarks/mmdetection/{name}')
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == rate
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.param_scheduler[1].milestones == steps
    assert cfg.auto_scale_lr.base_batch_size == 8 * batch
    assert [r.assigner.pos_iou_thr
            for r in cfg.model.train_cfg.rcnn] == [0.5, 0.6, 0.7]
    stds = [h.bbox_coder.target_stds[0] for h in cfg.model.roi_head.bbox_head]
    assert stds == [0.1, 0.05, 0.033]
    # The batch norm of the heads, and no final norm in the backbone.
    assert cfg.model.roi_head.bbox_head[0].norm_cfg.type == 'SyncBN'
    assert cfg.model.backbone.final_norm is False


def test_small_data_sets_are_ibots():
    found = {
        name: load(f'benchmarks/mmpretrain/fine-tune_vit-s16_{name}.py')
        for name in ('cifar10', 'cars', 'inat18')
    }
    rates = {n: c.optim_wrapper.optimizer.lr for n, c in found.items()}
    assert rates == pytest.approx(
        dict(cifar10=1.5 * 7.5e-6, cars=1.5 * 7.5e-5, inat18=1.5 * 5e-5))
    assert found['cifar10'].train_cfg.max_epochs == 1000
    assert found['inat18'].train_cfg.max_epochs == 360
    erasing = [
        step.erase_prob
        for step in found['inat18'].train_dataloader.dataset.pipeline
        if step.type == 'RandomErasing'
    ]
    assert erasing == [0.1]
