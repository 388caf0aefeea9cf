"""The settings of the views in the configs of older checkpoints."""
from typing import Any, Dict

# The flat arguments that ClipViewPreprocessor had, and their present places.
FLAT_VIEW_SETTINGS = {
    'num_global_views': 'global_views.num',
    'num_local_views': 'local_views.num',
    'local_boxes': 'local_views.boxes',
    'jitter_prob': 'color_jitter.prob',
    **{
        f'{prefix}_{key}': f'{prefix}_views.{key}'
        for prefix in ('global', 'local')
        for key in ('size', 'scale', 'interpolation', 'flip_prob', 'blur_prob',
                    'solarize_prob')
    },
    **{
        key: f'color_jitter.{key}'
        for key in ('brightness', 'contrast', 'saturation', 'hue')
    },
}


def nest_view_settings(settings: Dict[str, Any]) -> Dict[str, Any]:
    """Put flat settings of a ``ClipViewPreprocessor`` into their groups.

    Args:
        settings (dict): ``model.data_preprocessor`` of a saved config, flat
            or not. It stays as it is.

    Returns:
        dict: What the present class takes; equal to ``settings`` if nothing
        in it is flat.
    """
    nested: Dict[str, Any] = {}
    for name, value in settings.items():
        group, _, key = FLAT_VIEW_SETTINGS.get(name, name).partition('.')
        if key:
            nested[group] = {**nested.get(group, {}), key: value}
        elif name != 'non_blocking':  # always so by now
            nested[name] = value
    return nested
