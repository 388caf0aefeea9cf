"""Proof that a converted backbone is the one it was made from."""
import math
from typing import Any, Dict, Mapping, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Relative to the largest output. float32 gives 2e-6 for ViT-S; a permuted or
# missing tensor gives more than 1e-2.
_TOLERANCE = 1e-4
_EPS = 1e-6  # LayerNorm, in DINO, timm and mmpretrain


def vit_arch(tensors: Mapping[str, Tensor],
             num_heads: Optional[int] = None) -> Dict[str, int]:
    """Read the architecture off the shapes of a backbone.

    Args:
        tensors (dict[str, Tensor]): A backbone, the authors' names.
        num_heads (int, optional): Heads per block. They leave no trace in the
            shapes: by default 64 channels a head, as in ViT-Ti, -S, -B, -L.

    Returns:
        dict[str, int]: embed_dims, num_layers, num_heads,
        feedforward_channels, patch_size (pixels), img_size (pixels, of the
        position embedding), in_channels.

    Raises:
        ValueError: If the heads do not divide the channels or the patches
            are no square grid.
    """
    width = tensors['cls_token'].shape[-1]
    heads = num_heads or max(width // 64, 1)
    if width % heads or (num_heads is None and width % 64):
        raise ValueError(
            f'num_heads={num_heads} does not fit a backbone of {width} '
            'channels: pass the number it was trained with (--num-heads)')
    patches = tensors['pos_embed'].shape[1] - 1
    side = math.isqrt(patches)
    if side * side != patches:
        raise ValueError(f'pos_embed has {patches} patches, not a square '
                         'grid: only square position embeddings are known')
    patch_size = tensors['patch_embed.proj.weight'].shape[-1]
    return dict(
        embed_dims=width,
        num_layers=sum(name.endswith('.norm1.weight') for name in tensors),
        num_heads=heads,
        feedforward_channels=tensors['blocks.0.mlp.fc1.weight'].shape[0],
        patch_size=patch_size,
        img_size=side * patch_size,
        in_channels=tensors['patch_embed.proj.weight'].shape[1])


def stock_settings(arch: Mapping[str, int]) -> Dict[str, Any]:
    """What a registry builds the stock ViT from.

    Args:
        arch (dict[str, int]): From :func:`vit_arch`.

    Returns:
        dict: Settings of ``mmpretrain.VisionTransformer``, all tokens out.
    """
    outer = ('img_size', 'patch_size', 'in_channels')
    return dict(
        type='mmpretrain.VisionTransformer',
        arch={k: v
              for k, v in arch.items() if k not in outer},
        out_type='raw',
        **{k: arch[k]
           for k in outer})


def _authors_features(tensors: Mapping[str, Tensor], images: Tensor,
                      num_heads: int) -> Tensor:
    """The authors' ViT in eval mode, after the final norm: (B, 1 + N, D)."""

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = tensors[f'{name}.weight'], tensors[f'{name}.bias']
        return F.layer_norm(x, weight.shape, weight, bias, _EPS)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, tensors[f'{name}.weight'], tensors[f'{name}.bias'])

    proj = tensors['patch_embed.proj.weight']
    x = F.conv2d(images, proj, tensors['patch_embed.proj.bias'],
                 proj.shape[-1])
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([tensors['cls_token'].expand(len(x), -1, -1), x], dim=1)
    x = x + tensors['pos_embed']
    for i in range(sum(name.endswith('.norm1.weight') for name in tensors)):
        block = f'blocks.{i}'
        qkv = linear(norm(x, f'{block}.norm1'), f'{block}.attn.qkv')
        query, key, value = qkv.unflatten(-1, (3, num_heads, -1)).permute(
            2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value)
        x = x + linear(out.transpose(1, 2).flatten(2), f'{block}.attn.proj')
        hidden = linear(norm(x, f'{block}.norm2'), f'{block}.mlp.fc1')
        x = x + linear(F.gelu(hidden), f'{block}.mlp.fc2')
    return norm(x, 'norm')


@torch.no_grad()
def verify_backbone(model: nn.Module, state_dict: Mapping[str, Tensor],
                    tensors: Mapping[str, Tensor],
                    arch: Mapping[str, int]) -> float:
    """Load a stock ViT strictly and compare it with the source backbone.

    A fixed random image goes through the ViT with the new keys, and through a
    plain forward with the authors' keys.

    Args:
        model (nn.Module): Built from :func:`stock_settings`.
        state_dict (dict[str, Tensor]): mmpretrain's names, no prefix.
        tensors (dict[str, Tensor]): The source, under the authors' names.
        arch (dict[str, int]): From :func:`vit_arch`.

    Returns:
        float: Largest difference of class and patch tokens, relative to the
        largest value.

    Raises:
        ValueError: If the keys do not fit or the outputs differ.
    """
    try:
        model.load_state_dict(state_dict, strict=True)
    except RuntimeError as error:
        raise ValueError('the backbone does not load strictly into '
                         f'{type(model).__name__}: {error}') from error
    model.eval()
    size = (1, arch['in_channels'], arch['img_size'], arch['img_size'])
    images = torch.randn(size, generator=torch.Generator().manual_seed(0))
    found = model(images)[-1]
    expected = _authors_features(
        {
            name: tensor.float()
            for name, tensor in tensors.items()
        }, images, arch['num_heads'])
    error = float((found - expected).abs().max() / expected.abs().max())
    if not error <= _TOLERANCE:  # also catches NaN
        raise ValueError(
            'the converted backbone does not compute what its source does: '
            f'relative error {error:.3g}, allowed {_TOLERANCE:g} (NaN means '
            'that the weights are not finite)')
    return error
