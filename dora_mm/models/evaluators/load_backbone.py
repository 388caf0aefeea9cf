from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from dora_mm.checkpoints.safe_load import load_trusted
from dora_mm.checkpoints.tensors import read_tensors, write_tensors
from dora_mm.checkpoints.verify import vit_arch
from dora_mm.models.backbones import DoRAViT
from dora_mm.registry import MODELS
from .colour_histogram import ColourHistogram

COLOUR = 'colour'


@MODELS.register_module()
def load_backbone(source: str,
                  key: str = 'teacher',
                  trust: bool = False,
                  num_heads: Optional[int] = None,
                  pos_interp: str = 'dino') -> nn.Module:
    """A backbone for evaluation, whatever it comes from.

    Args:
        source (str | Path): A checkpoint of any layout that
            ``tools/convert_checkpoint.py`` knows; a config file (``.py``) of a
            run, for random weights as it starts from, of its
            ``randomness.seed``; or 'colour' for :class:`ColourHistogram`.
        key (str): 'teacher' or 'student', where there are both. Defaults to
            'teacher'.
        trust (bool): Whether to run code that a pickled checkpoint names.
            Defaults to False.
        num_heads (int, optional): Needed where an attention head does not
            have 64 channels.
        pos_interp (str): How position embeddings are resized, see
            :class:`DoRAViT`. Defaults to 'dino', which the protocols of DINO
            use.

    Returns:
        nn.Module: In eval mode. Images (B, 3, h, w) to a tuple whose last
        entry is (B, 1 + N, D), [CLS] and patch tokens after the final norm;
        ``patch_size`` in pixels.

    Raises:
        ValueError: If the source is missing, unsafe or of an unknown layout.
    """
    if source is None:
        raise ValueError('the config names no backbone: give a checkpoint, or '
                         'set model.backbone.source')
    if source == COLOUR:
        return ColourHistogram().eval()
    if str(source).endswith('.py'):
        return _random_backbone(source, pos_interp)
    checkpoint = load_trusted(source, trust)
    content = read_tensors(checkpoint)
    group = f'{content.network(key)}.backbone'
    content.check(source, [group])
    entries = content.groups[group]
    if num_heads is None:
        # published files know it
        meta = checkpoint.get('meta') or {}
        num_heads = (meta.get('arch') or {}).get('num_heads')
    arch = vit_arch({
        name: entry.tensor
        for name, entry in entries.items()
    }, num_heads)
    output, _ = write_tensors({'student.backbone': entries}, 'dora_mm')
    state = {
        name[len('backbone.'):]: tensor
        for name, tensor in output['state_dict'].items()
    }
    backbone = DoRAViT(
        img_size=arch.pop('img_size'),
        patch_size=arch.pop('patch_size'),
        in_channels=arch.pop('in_channels'),
        arch=arch,
        pos_interp=pos_interp,
        out_type='raw')
    backbone.load_state_dict(state, strict=True)
    return _ready(backbone)


def _random_backbone(config, pos_interp):
    """What a run with this config starts from."""
    if not Path(config).is_file():
        raise ValueError(f'{config} is not a file: give a checkpoint or a '
                         'config file')
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    settings = dict(cfg.model.backbone, out_type='raw', pos_interp=pos_interp)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((cfg.get('randomness') or {}).get('seed') or 0)
        backbone = MODELS.build(settings)
        backbone.init_weights()
    return _ready(backbone)


def _ready(backbone):
    backbone.patch_size = backbone.patch_embed.projection.stride[0]
    return backbone.eval()
