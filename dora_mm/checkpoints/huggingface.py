"""A backbone as a folder that Hugging Face's ``ViTModel`` loads.

Names are those of transformers 4, which 5 translates when it loads a folder.
"""
import json
import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Tuple, Union

import torch
from torch import Tensor

from dora_mm.utils.need_package import need_package
from .architecture import plain_arch
from .layouts import HUGGING_FACE, name_table

WEIGHTS, CONFIG = 'model.safetensors', 'config.json'
_QKV = ('query', 'key', 'value')


def check_safetensors() -> None:
    """Refuse to begin what the package safetensors is missing for.

    Raises:
        ImportError: With the command that installs it.
    """
    need_package('safetensors', 'a folder for Hugging Face', '"dora-mm[hf]"')


def write_hf(tensors: Mapping[str, Tensor], arch: Mapping[str, Any],
             folder: Union[str, Path], verify: Callable[[Path],
                                                        None]) -> Path:
    """Write ``config.json`` and ``model.safetensors`` into a new folder.

    ``ViTModel.from_pretrained(folder, add_pooling_layer=False)`` of
    transformers 4 and 5 loads it.

    Args:
        tensors (dict[str, Tensor]): A backbone, names of the layout 'hf'.
        arch (dict): See :func:`read_architecture`; a complete one.
        folder (str | Path): There whole or not at all.
        verify (callable): Called with a temporary folder; what it raises
            stops the writing.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If it exists or its parent does not.
        ImportError: If safetensors is not installed.
    """
    check_safetensors()
    from safetensors.torch import save_file
    folder = Path(folder)
    if folder.exists() or not folder.parent.is_dir():
        raise ValueError(f'{folder} must be a new folder in one that exists')
    state = OrderedDict()
    for name, tensor in tensors.items():
        names = _split_names(name)
        for each, part in zip(names, tensor.detach().chunk(len(names))):
            state[each] = part.clone(memory_format=torch.contiguous_format)
    config = dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_act=arch['activation'],
        hidden_size=arch['embed_dims'],
        image_size=plain_arch(arch)['img_size'],
        intermediate_size=arch['feedforward_channels'],
        layer_norm_eps=arch['norm_eps'],
        num_attention_heads=arch['num_heads'],
        num_channels=arch['in_channels'],
        num_hidden_layers=arch['num_layers'],
        patch_size=arch['patch_size'],
        qkv_bias=True,
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        made = temporary / folder.name
        made.mkdir()
        save_file(state, made / WEIGHTS, metadata=dict(format='pt'))
        (made / CONFIG).write_text(json.dumps(config, indent=2) + '\n')
        verify(made)
        os.rename(made, folder)
    finally:
        shutil.rmtree(temporary)
    return folder


def read_hf(folder: Union[str, Path]) -> Dict[str, Dict[str, Any]]:
    """Read what :func:`write_hf` or ``save_pretrained`` wrote.

    Args:
        folder (str | Path): With ``config.json`` and ``model.safetensors`` of
            a ViTModel in the names of transformers 4; a pooler or classifier
            is left out.

    Returns:
        dict: ``state_dict``, names of the layout 'hf'; ``meta``, with what
        ``config.json`` says of the architecture.

    Raises:
        ValueError: If a file or a tensor is missing or cannot be read.
        ImportError: If safetensors is not installed.
    """
    check_safetensors()
    path = Path(folder) / WEIGHTS
    state = _read_weights(path)
    wanted = [row[HUGGING_FACE] for row in name_table('any.backbone', state)]
    missing = [n for w in wanted for n in _split_names(w) if n not in state]
    if missing:
        raise ValueError(f'{path} is no ViTModel of transformers 4, it lacks '
                         f'{missing[:5]}')
    joined = OrderedDict()
    for name in wanted:
        joined[name] = torch.cat([state.pop(n) for n in _split_names(name)])
    return dict(
        state_dict=OrderedDict(joined, **state),
        meta=dict(arch=_read_config(Path(folder) / CONFIG, joined)))


def _read_weights(path: Path) -> Dict[str, Tensor]:
    """The tensors of a ViT, without the prefix that one with a head has."""
    from safetensors.torch import load_file
    for other in (f'{WEIGHTS}.index.json', 'pytorch_model.bin',
                  'pytorch_model.bin.index.json'):
        if not path.is_file() and (path.parent / other).is_file():
            raise ValueError(
                f'{path.parent} must hold its weights in {WEIGHTS}, but got '
                f'{other}: write such a folder with transformers, '
                f"ViTModel.from_pretrained({str(path.parent)!r})"
                ".save_pretrained(FOLDER, max_shard_size='100GB')")
    if not path.is_file():
        raise ValueError(f'{path.parent} holds no {WEIGHTS}: give the folder '
                         'that save_pretrained wrote')
    try:
        tensors = load_file(path)
    except Exception as error:  # SafetensorError is not public everywhere
        raise ValueError(f'{path} must be a safetensors file, but cannot be '
                         f'read ({error}): copy it again') from error
    state: Dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        bare = name.removeprefix('vit.')
        if bare.startswith(('classifier.', 'pooler.')):
            continue
        if bare in state:
            raise ValueError(f'{path} must hold one ViT, but got {bare} with '
                             'and without the prefix vit.: save the ViT that '
                             'you want alone')
        state[bare] = tensor
    return state


def _split_names(name: str) -> Tuple[str, ...]:
    """Names in the file, three for a joint query, key and value."""
    if 'QKV' in name:
        return tuple(name.replace('QKV', part) for part in _QKV)
    return (name, )


def _read_config(path: Path, tensors: Mapping[str, Any]) -> Dict[str, Any]:
    """What shapes do not show; transformers' defaults where it is silent.

    What they do show must be what the config says.
    """
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} must be a JSON file, but cannot be read '
                         f'({error}): give the folder that save_pretrained '
                         'wrote') from error
    if not isinstance(config, dict) or config.get('model_type') != 'vit':
        raise ValueError(f"{path} must have the model_type 'vit', but has "
                         'another one: only plain ViTs are known')
    proj = tensors['embeddings.patch_embeddings.projection.weight']
    inner = [name for name in tensors if 'intermediate.dense.weight' in name]
    shown = dict(
        hidden_size=proj.shape[0],
        num_channels=proj.shape[1],
        patch_size=proj.shape[-1],
        num_hidden_layers=len(inner),
        intermediate_size=tensors[inner[0]].shape[0],
        qkv_bias=True)
    if config.get('patch_size') == [proj.shape[-1]] * 2:  # by both sides
        config['patch_size'] = proj.shape[-1]
    for name, value in shown.items():
        if config.get(name, value) != value:
            raise ValueError(
                f'{name} in {path} must be {value}, as the tensors beside it '
                f'are, but got {config[name]!r}: the two files do not belong '
                'together')
    return dict(
        num_heads=config.get('num_attention_heads', 12),
        img_size=config.get('image_size', 224),
        norm_eps=config.get('layer_norm_eps', 1e-12),
        activation=config.get('hidden_act', 'gelu'))
