"""What the code of a layout computes in one way only."""
from typing import Any, Dict, Mapping, Tuple

from dora_mm.utils.architecture_options import SAID
from .tensors import CheckpointTensors

_TIMM = dict(norm_eps=1e-6, activation='gelu')
# DINO's ViTs have this many channels a head, and square images.
_HEAD_CHANNELS = 64
_NAMES = dict(timm=tuple(_TIMM), dino=SAID, hf=SAID)


def needed(to: str) -> Tuple[str, ...]:
    """What must be known before a layout is written.

    Args:
        to (str): A layout.

    Returns:
        tuple[str]: Those of ``SAID`` which its code computes in one way only,
        or which its files say.
    """
    return _NAMES.get(to, ())


def inferred(content: CheckpointTensors, group: str,
             arch: Mapping[str, Any]) -> Dict[str, Any]:
    """What the names in a file let expect, unless anybody knows better.

    Args:
        content (CheckpointTensors): Of the file.
        group (str): The backbone, such as 'teacher.backbone'.
        arch (dict): What the shapes show: embed_dims, patch_size (pixels).

    Returns:
        dict: Some of ``SAID``. The names of timm are those of many, who have
        its norms; DINO's heads and squares take DINO's own head beside it.
    """
    if content.layout not in ('timm', 'dino', 'dino_state'):
        return {}
    found: Dict[str, Any] = dict(_TIMM)
    head = content.groups.get(group.replace('backbone', 'head'), {})
    if 'last_layer.weight_g' in head:
        if arch['embed_dims'] % _HEAD_CHANNELS == 0:
            found['num_heads'] = arch['embed_dims'] // _HEAD_CHANNELS
        patches = content.groups[group]['pos_embed'].tensor.shape[1] - 1
        side = round(patches**0.5)
        if side**2 == patches:
            found['img_size'] = (side * arch['patch_size'], ) * 2
    return found


def check_target(arch: Mapping[str, Any], to: str) -> None:
    """Refuse a layout whose code would compute something else.

    Args:
        arch (dict): As far as it is known.
        to (str): The layout.

    Raises:
        ValueError: Names what does not fit.
    """
    fixed: Dict[str, Any] = dict(_TIMM) if to in ('timm', 'dino') else {}
    if to == 'dino':
        if len(set(arch.get('img_size', ()))) > 1:
            raise ValueError(
                f'img_size must be square in the layout {to!r}, but '
                f'got {arch["img_size"]}: choose another layout')
        if arch['embed_dims'] % _HEAD_CHANNELS:
            raise ValueError(
                f'embed_dims must be a multiple of {_HEAD_CHANNELS}, the '
                f'channels of a head, in the layout {to!r}, but got '
                f'{arch["embed_dims"]}: choose another layout')
        fixed['num_heads'] = arch['embed_dims'] // _HEAD_CHANNELS
    for name in SAID:
        if name in fixed and arch.get(name, fixed[name]) != fixed[name]:
            raise ValueError(
                f'{name} must be {fixed[name]} in the layout {to!r}, whose '
                f'code knows no other, but got {arch[name]}: choose another '
                'layout, or publish the backbone')
