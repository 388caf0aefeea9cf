import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from dora_mm import config_path
from dora_mm.checkpoints import checkpoint_config
from dora_mm.registry import DATASETS, MODELS
from dora_mm.visualization.clip_tracks import clip_settings


def test_config_of_a_checkpoint_is_read_as_data():
    cfg = Config.fromfile(config_path('dora/vit-s16_wt_released.py'))
    found = checkpoint_config(dict(meta=dict(cfg=cfg.pretty_text)))
    assert found.to_dict() == cfg.to_dict()
    assert clip_settings(found) == dict(
        clip_len=8, frame_interval=None, frame_stride=60, across_cuts=False)


@pytest.mark.parametrize('text, message', [
    (None, 'holds no config'),
    ("model = dict(type=__import__('os').getcwd())", 'calls __import__'),
    ('import os', 'more than plain data'),
    ('model = dict(**{"type": 1})', 'unpacks a dict'),
    ("model = dict(type='dora_mm.DoRA', neck=[dict(type='os.system')])",
     "'os.system'"),
    ("model = dict(type='dora_mm.checkpoints.safe_load.os.system')",
     'not part of dora_mm'),
])
def test_config_that_could_run_code_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        checkpoint_config(dict(meta=dict(cfg=text)))
    assert '--config' in str(error.value)


def test_names_of_older_checkpoints_are_translated():
    """As saved before the data sets were renamed."""
    text = """
custom_hooks = [
    dict(type='dora_mm.KNNHook', memory=dict(type='dora_mm.LabelledImages'),
         queries=dict(root='LabelledImages', type='LabelledImages')),
]
model = dict(type='dora_mm.DINO', neck=dict(type='dora_mm.DINONeck'))
test_dataloader = dict(dataset=dict(type='dora_mm.MaskedImages'))
val_dataloader = dict(dataset=dict(type='dora_mm.BoxedImages'))
"""
    cfg = checkpoint_config(dict(meta=dict(cfg=text)))
    hook, = cfg.custom_hooks
    assert hook == dict(
        type='dora_mm.KNNHook',
        memory=dict(type='dora_mm.ClassFolderDataset'),
        queries=dict(root='LabelledImages', type='ClassFolderDataset'))
    assert cfg.test_dataloader.dataset.type == 'dora_mm.SemanticMaskDataset'
    assert cfg.val_dataloader.dataset.type == 'dora_mm.ObjectBoxDataset'
    for dataset in (hook.memory, cfg.test_dataloader.dataset,
                    cfg.val_dataloader.dataset):
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            assert DATASETS.get(dataset.type) is not None


def test_views_of_older_checkpoints_are_built_as_they_were():
    """As saved before the settings of the views were grouped."""
    text = """
default_scope = 'mmpretrain'
model = dict(
    data_preprocessor=dict(
        type='dora_mm.ClipViewPreprocessor', num_global_views=1,
        global_size=112, num_local_views=2, local_size=64, jitter_prob=0.,
        global_blur_prob=0.3, non_blocking=True),
    type='dora_mm.DoRA')
"""
    cfg = checkpoint_config(dict(meta=dict(cfg=text)))
    views = MODELS.build(cfg.model.data_preprocessor)
    assert (views.global_views.num, views.global_views.size) == (1, 112)
    assert (views.local_views.num, views.local_views.size) == (2, 64)
    assert cfg.model.data_preprocessor.global_views.blur_prob == 0.3
    assert cfg.model.data_preprocessor.color_jitter == dict(prob=0.)
