import json
import tempfile
from pathlib import Path
from typing import Any, Mapping, Union

import torch

from dora_mm.checkpoints import convert
from dora_mm.models import build_backbone
from dora_mm.utils.pixels import RGB_MEAN, RGB_STD


def write_timm(published: Union[str, Path], arch: Mapping[str, Any],
               folder: Union[str, Path]) -> None:
    """Write a folder for timm's ``create_model('local-dir:FOLDER')``.

    Args:
        published (str | Path): What :func:`publish` wrote.
        arch (dict): Its ``meta.arch``.
        folder (str | Path): Made; gets ``model.safetensors``, ``config.json``.

    Raises:
        ValueError: If timm's ViT cannot compute what this one does; nothing
            is written then.
    """
    from safetensors.torch import save_file
    folder, size = Path(folder), arch['img_size']
    height, width = (size, size) if isinstance(size, int) else size
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        path = Path(temporary) / 'timm.pth'
        convert(published, path, 'timm', build_backbone)
        state = torch.load(path, weights_only=True)
    config = dict(
        # Any of timm's plain ViTs; the arguments say the rest.
        architecture='vit_small_patch16_224',
        num_classes=0,
        num_features=arch['embed_dims'],
        model_args=dict(
            img_size=[height, width],
            patch_size=arch['patch_size'],
            embed_dim=arch['embed_dims'],
            depth=arch['num_layers'],
            num_heads=arch['num_heads'],
            mlp_ratio=arch['feedforward_channels'] / arch['embed_dims']),
        pretrained_cfg=dict(
            num_classes=0,
            input_size=[arch['in_channels'], height, width],
            fixed_input_size=True,
            interpolation='bicubic',
            crop_pct=224 / 256,
            mean=[value / 255 for value in RGB_MEAN],
            std=[value / 255 for value in RGB_STD],
            first_conv='patch_embed.proj',
            classifier='head'))
    folder.mkdir()
    save_file({name: tensor.contiguous()
               for name, tensor in state.items()},
              folder / 'model.safetensors',
              metadata=dict(format='pt'))
    (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
