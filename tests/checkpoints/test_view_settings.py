from dora_mm.checkpoints.view_settings import nest_view_settings
from dora_mm.models.data_preprocessors import ClipViewPreprocessor


def test_flat_settings_of_a_saved_config_build_the_same_views():
    """The demo's, as its checkpoints held them, and one that none set."""
    flat = dict(
        type='dora_mm.ClipViewPreprocessor',
        num_global_views=2,
        global_size=112,
        global_scale=(0.4, 1.0),
        global_flip_prob=0.25,
        num_local_views=3,
        local_size=64,
        local_scale=(0.05, 0.3),
        local_boxes='clip',
        jitter_prob=0.0,
        hue=0.2,
        gray_prob=0.0,
        global_solarize_prob=(0.0, 0.2),
        non_blocking=False)
    before = dict(flat)
    nested = nest_view_settings(flat)
    assert flat == before
    assert nested == dict(
        type='dora_mm.ClipViewPreprocessor',
        global_views=dict(
            num=2,
            size=112,
            scale=(0.4, 1.0),
            flip_prob=0.25,
            solarize_prob=(0.0, 0.2)),
        local_views=dict(num=3, size=64, scale=(0.05, 0.3), boxes='clip'),
        color_jitter=dict(prob=0.0, hue=0.2),
        gray_prob=0.0)
    assert nest_view_settings(nested) == nested
    del nested['type']
    ClipViewPreprocessor(**nested)
