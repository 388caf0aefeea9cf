"""The architecture of a ViT: what its file says of it, never a guess.

Shapes tell the channels, layers and the patch size. Heads, the size that the
position embeddings are made for, the epsilon of the norms and the activation
leave no trace in them; they are said by the config of the run, by ``meta`` of
a file of ours, by Hugging Face's ``config.json``, or by the user. Where nobody
says them, they may be inferred from whose code names its weights so.
"""
from collections.abc import Callable, Mapping
from typing import Any, Dict, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dora_mm.utils.architecture_options import ACTIVATIONS, SAID
from .layout_architecture import inferred
from .layouts import LAYOUTS, plain_state
from .run_config import checkpoint_config
from .tensors import CheckpointTensors
from .weight_kind import weight_kind

Arch = Dict[str, Any]


def read_architecture(checkpoint: Mapping,
                      content: CheckpointTensors,
                      group: str,
                      build: Callable[[dict], nn.Module],
                      options: Mapping[str, Any],
                      settings: Optional[Mapping[str, Any]] = None
                      ) -> Tuple[Arch, Optional[nn.Module]]:
    """Find out the architecture of a backbone.

    Args:
        checkpoint (dict): What the file holds.
        content (CheckpointTensors): Its networks, checked.
        group (str): The backbone, such as 'teacher.backbone'.
        build (callable): Makes a network from its settings.
        options (dict): What the user says: some of ``SAID``. Goes before
            what is inferred, and must be what the checkpoint says.
        settings (dict, optional): Of the backbone, by a config that the user
            gives. Defaults to those in the checkpoint.

    Returns:
        tuple[dict, nn.Module | None]: embed_dims, num_layers,
        feedforward_channels, patch_size (pixels), in_channels, and as far as
        they are said num_heads, img_size (height, width in pixels), norm_eps
        and activation; the run's own network with its weights where there is
        a config of it.

    Raises:
        ValueError: If two sources contradict each other or the shapes.
    """
    tensors = {n: entry.tensor for n, entry in content.groups[group].items()}
    proj = tensors['patch_embed.proj.weight']
    arch = dict(
        embed_dims=tensors['cls_token'].shape[-1],
        num_layers=sum(name.endswith('.norm1.weight') for name in tensors),
        feedforward_channels=tensors['blocks.0.mlp.fc1.weight'].shape[0],
        patch_size=proj.shape[-1],
        in_channels=proj.shape[1])
    own = _own_module(checkpoint, content.layout, group, build, settings)
    said = _of_meta(checkpoint) if own is None else _of_module(own)
    for name, value in _checked(options).items():
        if said.setdefault(name, value) != value:
            by = 'checkpoint' if settings is None else 'config'
            raise ValueError(f'{name} must be {said[name]}, which the {by} '
                             f'says, but got {value}: leave it out')
    if own is None:
        arch.update(inferred(content, group, arch))
        arch.update(_old_publishing(checkpoint))
    arch.update(said)
    patches = tensors['pos_embed'].shape[1] - 1
    _check(arch, patches)
    return arch, own


def require(arch: Arch, path: str, names: Sequence[str] = SAID) -> None:
    """Ask for what nobody has said.

    Args:
        arch (dict): Of :func:`read_architecture`.
        path (str): The file, for the message.
        names (Sequence[str]): What must be known. Defaults to all.

    Raises:
        ValueError: Names what is missing and the options.
    """
    missing = [name for name in names if name not in arch]
    if missing:
        options = ', '.join('--' + n.replace('_', '-') for n in missing)
        raise ValueError(
            f'{path} must say its {", ".join(missing)}, but does not, and '
            f'shapes do not show it: give {options} as it was trained (ViT-S '
            'of DINO: 6, 224, 1e-6, gelu)')


def stock_settings(arch: Arch) -> Dict[str, Any]:
    """What a registry builds the stock ViT from.

    Args:
        arch (dict): A complete one.

    Returns:
        dict: Settings of ``mmpretrain.VisionTransformer``, all tokens out.
    """
    inner = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')
    return dict(
        type='mmpretrain.VisionTransformer',
        arch={k: arch[k]
              for k in inner},
        img_size=arch['img_size'],
        patch_size=arch['patch_size'],
        in_channels=arch['in_channels'],
        norm_cfg=dict(type='LN', eps=arch['norm_eps']),
        layer_cfgs=dict(
            act_cfg=dict(type=ACTIVATIONS[arch['activation']])),
        out_type='raw')


def plain_arch(arch: Arch) -> Arch:
    """As it stands in the ``meta`` of a file: a square by its side."""
    plain = dict(arch)
    if 'img_size' in arch:
        height, width = arch['img_size']
        plain['img_size'] = height if height == width else [height, width]
    return plain


def _of_meta(checkpoint: Mapping) -> Arch:
    said = _meta_arch(checkpoint)
    return _checked({name: said[name] for name in SAID if name in said})


def _old_publishing(checkpoint: Mapping) -> Arch:
    """What a published backbone of a run was checked with, unsaid at first."""
    said, meta = _meta_arch(checkpoint), checkpoint.get('meta')
    if 'num_heads' not in said or 'backbone_of' not in meta:
        return {}
    return dict(norm_eps=1e-6, activation='gelu')


def _meta_arch(checkpoint: Mapping) -> Mapping:
    meta = checkpoint.get('meta')
    said = meta.get('arch') if isinstance(meta, Mapping) else None
    return said if isinstance(said, Mapping) else {}


def _checked(facts: Mapping[str, Any]) -> Arch:
    """Facts of the right types."""
    facts = {k: v for k, v in facts.items() if v is not None}
    unknown = set(facts) - set(SAID)
    if unknown:
        raise ValueError(f'the architecture must consist of {SAID}, but got '
                         f'{sorted(unknown)}: leave them out')
    heads, size = facts.get('num_heads', 1), facts.get('img_size', 1)
    sides = tuple(size) if isinstance(size, (list, tuple)) else (size, )
    for name, values in (('num_heads', (heads, )), ('img_size', sides)):
        if not 0 < len(values) < 3 or not all(
                type(v) is int and v > 0 for v in values):
            raise ValueError(f'{name} must be positive whole numbers, but got '
                             f'{facts[name]!r}: correct it')
    eps = facts.get('norm_eps', 1e-6)
    if type(eps) not in (int, float) or not 0 < eps < 1:
        raise ValueError(f'norm_eps must be between 0 and 1, but got {eps!r}: '
                         'correct it')
    activation = facts.get('activation', 'gelu')
    if activation not in tuple(ACTIVATIONS):
        raise ValueError(
            f'activation must be one of {", ".join(ACTIVATIONS)}, but got '
            f'{activation!r}: such a network has no place here')
    if 'img_size' in facts:
        facts['img_size'] = sides if len(sides) == 2 else sides * 2
    return facts


def _check(arch: Arch, patches: int) -> None:
    heads = arch.get('num_heads', 1)
    if arch['embed_dims'] % heads:
        raise ValueError(f'num_heads must divide the {arch["embed_dims"]} '
                         f'channels, but got {heads}: correct it')
    size, patch = arch.get('img_size'), arch['patch_size']
    if size is not None and (size[0] % patch or size[1] % patch or size[0] *
                             size[1] != patches * patch**2):
        raise ValueError(
            f'img_size must give the {patches} patches of {patch} pixels that '
            f'pos_embed has beside [CLS], but got {size[0]} x {size[1]}: '
            'correct it')


def _own_module(checkpoint: Mapping, layout: str, group: str,
                build: Callable[[dict], nn.Module],
                settings: Optional[Mapping[str, Any]]) -> Optional[nn.Module]:
    """The network of the run with its weights, by its own config."""
    meta = checkpoint.get('meta')
    if settings is None:
        if layout not in ('dora_mm', 'mmpretrain') or not isinstance(
                meta, Mapping) or 'cfg' not in meta:
            return None
        try:
            settings = checkpoint_config(checkpoint).model.backbone
        except (AttributeError, ValueError):
            return None  # the options say it
    settings = dict(settings, out_type='raw', init_cfg=None, out_indices=-1)
    name = str(settings.get('type')).rpartition('.')[2]
    if name not in ('DoRAViT', 'VisionTransformer'):
        return None
    if name == 'DoRAViT':
        settings.update(type='dora_mm.DoRAViT', pos_interp='size')
    try:
        module = build(settings)
    except Exception as error:  # whatever a strange config makes it raise
        raise ValueError('model.backbone in the config of the checkpoint must '
                         f'be a ViT, but cannot be built: {error}') from error
    prefix = LAYOUTS[layout][group].prefix
    fit(module, {
        name[len(prefix):]: value
        for name, value in plain_state(checkpoint).items()
        if name.startswith(prefix)
    }, 'the checkpoint')
    return module


def fit(module: nn.Module, state: Mapping[str, Any], path: str) -> None:
    """Load a state dict that fits name by name and shape by shape.

    Args:
        module (nn.Module): Gets the weights; nothing is resized.
        state (dict): The weights.
        path (str): Where they come from, for the message.

    Raises:
        ValueError: If something is missing, left over, no tensor, of another
            shape, no float in place of one or not finite; the first key is
            named.
    """
    expected = module.state_dict()
    for name in [*expected, *state]:
        problem = None
        if name not in state:
            problem = 'is missing'
        elif name not in expected:
            problem = 'has no place in the model'
        elif not isinstance(state[name], Tensor):
            problem = f'is a {type(state[name]).__name__} and no tensor'
        elif state[name].shape != expected[name].shape:
            problem = (f'has the shape {tuple(state[name].shape)} instead of '
                       f'{tuple(expected[name].shape)}')
        elif expected[name].is_floating_point() and weight_kind(state[name]):
            problem = f'is {weight_kind(state[name])}'
        elif not state[name].isfinite().all():
            problem = 'is not finite'
        if problem:
            raise ValueError(f'{path} must fit its config, but {name} '
                             f'{problem}: give the config and the checkpoint '
                             'of one run')
    module.load_state_dict(dict(state), strict=True)


def _of_module(module: nn.Module) -> Arch:
    """Read off a ``VisionTransformer`` what shapes do not show."""
    conv = module.patch_embed.projection
    patch = conv.kernel_size[0]
    layers = list(module.layers)
    norms = [norm for x in layers for norm in (x.ln1, x.ln2)]
    norms += [module.ln1] if hasattr(module, 'ln1') else []
    eps = {norm.eps for norm in norms}
    heads = {layer.attn.num_heads for layer in layers}
    act = {_activation(layer.ffn.layers[0][1]) for layer in layers}
    plain = type(conv) is nn.Conv2d and conv.kernel_size == conv.stride == (
        patch, patch) and conv.padding == (0, 0) and conv.dilation == (1, 1)
    plain = plain and all(type(norm) is nn.LayerNorm for norm in norms)
    if not plain or len(eps) > 1 or len(heads) > 1 or len(act) > 1 \
            or module.interpolate_mode != 'bicubic':
        raise ValueError(
            'model.backbone in the config of the checkpoint must be a plain '
            'ViT, with patches side by side, layers that are alike, LayerNorm '
            'and bicubic position embeddings: another one has no place here')
    return _checked(
        dict(
            num_heads=heads.pop(),
            norm_eps=eps.pop(),
            activation=act.pop(),
            img_size=[side * patch for side in module.patch_resolution]))


def _activation(module: nn.Module) -> str:
    """The function that it computes, whatever its class and settings."""
    x = torch.linspace(-4, 4, 33)
    for name in ACTIVATIONS:
        if torch.allclose(module(x), getattr(F, name)(x), rtol=0, atol=1e-6):
            return name
    return repr(module)
