"""A backbone as a folder that Hugging Face's ``ViTModel`` loads."""
import json
import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch

WEIGHTS, CONFIG = 'model.safetensors', 'config.json'
# Names of transformers 4, which 5 translates when it loads a folder.
_TOP = {
    'cls_token': 'embeddings.cls_token',
    'pos_embed': 'embeddings.position_embeddings',
    'patch_embed.proj': 'embeddings.patch_embeddings.projection',
    'norm': 'layernorm',
}
_BLOCK = {
    'norm1': 'layernorm_before',
    'attn.proj': 'attention.output.dense',
    'norm2': 'layernorm_after',
    'mlp.fc1': 'intermediate.dense',
    'mlp.fc2': 'output.dense',
}
_QKV = tuple(f'attention.attention.{n}' for n in ('query', 'key', 'value'))


def hf_names(name):
    """Names of a tensor, three for a joint query, key and value.

    Args:
        name (str): The authors'.

    Returns:
        tuple[str]: Hugging Face's, to be split along the first dimension.
    """
    stem, dot, kind = name.rpartition('.')
    if name in _TOP:
        return (_TOP[name], )
    if stem in _TOP:
        return (f'{_TOP[stem]}.{kind}', )
    _, layer, part = stem.split('.', 2)
    parts = _QKV if part == 'attn.qkv' else (_BLOCK[part], )
    return tuple(f'encoder.layer.{layer}.{p}{dot}{kind}' for p in parts)


def write_hf(tensors, arch, folder):
    """Write ``config.json`` and ``model.safetensors`` into a new folder.

    ``ViTModel.from_pretrained(folder, add_pooling_layer=False)`` of
    transformers 4 and 5 loads it.

    Args:
        tensors (dict[str, Tensor]): A backbone, the authors' names.
        arch (dict[str, int]): See ``vit_arch``.
        folder (str | Path): There whole or not at all.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If it exists or its parent does not.
    """
    from safetensors.torch import save_file
    folder = Path(folder)
    if folder.exists() or not folder.parent.is_dir():
        raise ValueError(f'{folder} must be a new folder in one that exists')
    state = OrderedDict()
    for name, tensor in tensors.items():
        names = hf_names(name)
        for each, part in zip(names, tensor.detach().chunk(len(names))):
            state[each] = part.clone(memory_format=torch.contiguous_format)
    config = dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_act='gelu',
        hidden_size=arch['embed_dims'],
        image_size=arch['img_size'],
        intermediate_size=arch['feedforward_channels'],
        layer_norm_eps=1e-6,  # the default there is 1e-12
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
        os.rename(made, folder)
    finally:
        shutil.rmtree(temporary)
    return folder


def read_hf(folder):
    """Read what :func:`write_hf` or ``save_pretrained`` wrote.

    Args:
        folder (str | Path): With ``model.safetensors`` of a ViTModel in the
            names of transformers 4; a pooler or classifier is left out.

    Returns:
        dict[str, Tensor]: The authors' names.

    Raises:
        ValueError: If the file or a tensor is missing.
    """
    from safetensors.torch import load_file
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise ValueError(f'{folder} holds no {WEIGHTS}: give the folder that '
                         'save_pretrained wrote')
    # A model with a head has its ViT under this name.
    state = {
        name.removeprefix('vit.'): tensor
        for name, tensor in load_file(path).items()
    }
    depth = len({n.split('.')[2] for n in state if n.startswith('encoder.')})
    parts = [
        f'blocks.{i}.{part}' for i in range(depth)
        for part in (*_BLOCK, 'attn.qkv')
    ]
    stems = [*parts, 'patch_embed.proj', 'norm']
    wanted = ['cls_token', 'pos_embed'] + [
        f'{stem}.{kind}' for stem in stems for kind in ('weight', 'bias')
    ]
    missing = [n for w in wanted for n in hf_names(w) if n not in state]
    if missing or not depth:
        raise ValueError(f'{path} is no ViTModel of transformers 4, it lacks '
                         f'{missing[:5] or "encoder.layer.*"}')
    return OrderedDict((name, torch.cat([state[n] for n in hf_names(name)]))
                       for name in wanted)
