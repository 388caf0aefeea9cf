"""Proof that a converted backbone is the one it was made from."""
from typing import Any, Mapping, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .architecture import fit

# Relative to the largest output. In double precision, up to mmpretrain's
# resizing of position embeddings, which is in single: 5e-7.
_TOLERANCE = 1e-5


def _authors_features(tensors: Mapping[str, Tensor], images: Tensor,
                      arch: Mapping[str, Any]) -> Tensor:
    """The authors' ViT in eval mode, after the final norm: (B, 1 + N, D)."""
    activate = getattr(F, arch['activation'])
    patch = arch['patch_size']
    grid, new = (tuple(side // patch for side in size)
                 for size in (arch['img_size'], images.shape[2:]))

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = tensors[f'{name}.weight'], tensors[f'{name}.bias']
        return F.layer_norm(x, weight.shape, weight, bias, arch['norm_eps'])

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, tensors[f'{name}.weight'], tensors[f'{name}.bias'])

    proj = tensors['patch_embed.proj.weight']
    x = F.conv2d(images, proj, tensors['patch_embed.proj.bias'], patch)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([tensors['cls_token'].expand(len(x), -1, -1), x], dim=1)
    first, places = tensors['pos_embed'].split((1, grid[0] * grid[1]), 1)
    if grid != new:
        places = F.interpolate(
            places.mT.unflatten(2, grid),
            size=new,
            mode='bicubic',
            align_corners=False).flatten(2).mT
    x = x + torch.cat((first, places), dim=1)
    for i in range(sum(name.endswith('.norm1.weight') for name in tensors)):
        block = f'blocks.{i}'
        qkv = linear(norm(x, f'{block}.norm1'), f'{block}.attn.qkv')
        qkv = qkv.unflatten(-1, (3, arch['num_heads'], -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        x = x + linear(out.transpose(1, 2).flatten(2), f'{block}.attn.proj')
        hidden = linear(norm(x, f'{block}.norm2'), f'{block}.mlp.fc1')
        x = x + linear(activate(hidden), f'{block}.mlp.fc2')
    return norm(x, 'norm')


@torch.no_grad()
def verify_backbone(model: nn.Module, state_dict: Mapping[str, Tensor],
                    tensors: Mapping[str, Tensor], arch: Mapping[str, Any],
                    own: Optional[nn.Module]) -> float:
    """Load a stock ViT strictly and compare it with the source backbone.

    Random images of two sizes, the backbone's own and one that is not square,
    go through the ViT with the new keys, and through the run's own network,
    built from its own config. Without one, through a plain forward with the
    authors' keys.

    Args:
        model (nn.Module): Built from :func:`stock_settings`.
        state_dict (dict[str, Tensor]): mmpretrain's names, no prefix.
        tensors (dict[str, Tensor]): The source, under the authors' names.
        arch (dict): Of :func:`read_architecture`, complete.
        own (nn.Module, optional): The run's own network, with its weights.

    Returns:
        float: Largest difference of class and patch tokens, relative to the
        largest value.

    Raises:
        ValueError: If the keys do not fit or the outputs differ.
    """
    fit(model, state_dict, 'the file written')
    model.double()
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    patch, (height, width) = arch['patch_size'], arch['img_size']
    wider = (height + patch, width + 3 * patch)
    if wider[0] == wider[1]:
        wider = (height + patch, width + 4 * patch)
    error = 0.
    generator = torch.Generator().manual_seed(0)
    for size in ((height, width), wider):
        images = torch.randn((1, arch['in_channels'], *size),
                             generator=generator).double()
        found = model(images)[-1]
        if own is None:
            expected = _authors_features(tensors, images, arch)
        else:
            expected = own.double()(images)[-1]
        each = float((found - expected).abs().max() / expected.abs().max())
        if not each <= _TOLERANCE:  # also catches NaN
            raise ValueError(
                'the converted backbone must compute what its source does, '
                f'but does not compute it at {size[0]} x {size[1]} pixels: '
                f'relative error {each:.3g}, allowed {_TOLERANCE:g}')
        error = max(error, each)
    return error
