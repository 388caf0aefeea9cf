"""Key names of the checkpoint layouts.

A checkpoint is taken apart into groups, ``student.backbone``,
``student.head``, ``teacher.backbone``, ``teacher.head``, ``any.backbone``,
``any.head`` (a file that does not say whose network it holds) and ``loss``.
Within a group, names are those of the authors' code (DINO's, DoRA's, timm's).
"""
import re
from collections.abc import Mapping
from typing import NamedTuple

AUTHORS, OURS, MMSEG = 0, 1, 2
NETWORKS = ('student', 'teacher')

_VIT_TOP = (('cls_token', 'cls_token'), ('pos_embed', 'pos_embed'),
            ('patch_embed.proj.weight', 'patch_embed.projection.weight'),
            ('patch_embed.proj.bias', 'patch_embed.projection.bias'),
            ('norm.weight', 'ln1.weight'), ('norm.bias', 'ln1.bias'))
# mmseg's with what separates them from 'weight' and 'bias'.
_VIT_BLOCK = (('norm1', 'ln1', 'ln1.'), ('attn.qkv', 'attn.qkv',
                                         'attn.attn.in_proj_'),
              ('attn.proj', 'attn.proj', 'attn.attn.out_proj.'),
              ('norm2', 'ln2', 'ln2.'), ('mlp.fc1', 'ffn.layers.0.0',
                                         'ffn.layers.0.0.'),
              ('mlp.fc2', 'ffn.layers.1', 'ffn.layers.1.'))
WEIGHT_NORM = (('last_layer.weight_g',
                'last_layer.parametrizations.weight.original0'),
               ('last_layer.weight_v',
                'last_layer.parametrizations.weight.original1'))
_BLOCK_NAME = re.compile(r'(?:blocks|layers)\.(\d+)\.')
_HEAD = tuple((f'mlp.{i}.{kind}', ) * 2 for i in (0, 2, 4)
              for kind in ('weight', 'bias')) + WEIGHT_NORM


class Place(NamedTuple):
    """Where a layout keeps a group: entry of the file, prefix, names."""
    container: str
    prefix: str
    names: int
    ddp_prefix: str = ''


# The authors wrap the student in DistributedDataParallel, never the teacher,
# and their loader wants the names so; reading ignores ``module.`` everywhere.
LAYOUTS = {
    'dino': {
        'student.backbone': Place('student', 'backbone.', AUTHORS, 'module.'),
        'student.head': Place('student', 'head.', AUTHORS, 'module.'),
        'teacher.backbone': Place('teacher', 'backbone.', AUTHORS),
        'teacher.head': Place('teacher', 'head.', AUTHORS),
        'loss': Place('dino_loss', '', AUTHORS),
    },
    'dora_mm': {
        'student.backbone': Place('state_dict', 'backbone.', OURS),
        'student.head': Place('state_dict', 'neck.', OURS),
        'teacher.backbone': Place('state_dict', 'teacher.backbone.', OURS),
        'teacher.head': Place('state_dict', 'teacher.neck.', OURS),
        'loss': Place('state_dict', 'loss_module.', OURS),
    },
    'dino_state': {
        'any.backbone': Place('', 'backbone.', AUTHORS),
        'any.head': Place('', 'head.', AUTHORS),
    },
    'timm': {
        'any.backbone': Place('', '', AUTHORS),
    },
    # What read_hf and write_hf exchange; the folder has names of its own.
    'hf': {
        'any.backbone': Place('', '', AUTHORS),
    },
    'mmseg': {
        'any.backbone': Place('state_dict', '', MMSEG),
    },
    'mmpretrain': {
        'any.backbone': Place('', 'backbone.', OURS),
    },
}


def sniff(checkpoint):
    """Tell the layout of a loaded checkpoint.

    Args:
        checkpoint (dict): What :func:`load_trusted` returned.

    Returns:
        str: 'dino' (the authors' training file), 'dora_mm' (a runner
        checkpoint of ours), 'dino_state' (a bare ``backbone.* head.*`` state
        dict), 'timm' (a bare backbone, also DINO's 'backbone' downloads),
        'mmseg' (a bare backbone with mmseg's names) or 'mmpretrain'
        (``backbone.*`` with mmpretrain's names, e.g. published).

    Raises:
        ValueError: If it is none of them; names the first keys found.
    """
    if not isinstance(checkpoint, Mapping):
        raise ValueError('a checkpoint must be a dict, but the file holds a '
                         f'{type(checkpoint).__name__}')
    if any(isinstance(checkpoint.get(n), Mapping) for n in NETWORKS):
        return 'dino'
    names = [without_module(str(name)) for name in bare_state(checkpoint)]
    for layout, start in (('dora_mm', ('teacher.backbone.', 'neck.',
                                       'loss_module.')),
                          ('mmpretrain', ('backbone.layers.', )),
                          ('dino_state',
                           ('backbone.blocks.', )), ('timm', ('blocks.', )),
                          ('mmseg', ('layers.0.attn.attn.', ))):
        if any(name.startswith(start) for name in names):
            return layout
    raise ValueError(
        'the layout of the checkpoint is not known; its first keys are '
        f'{names[:5]}. Known: files of DINO or DoRA (student/teacher), '
        'runner checkpoints of dora_mm, ViT backbones of mmpretrain, mmseg '
        'and timm, and folders of Hugging Face')


def without_module(name):
    """Strip what DistributedDataParallel puts before a key."""
    return name[len('module.'):] if name.startswith('module.') else name


def bare_state(checkpoint):
    """The state dict of a file that holds one, wrapped or not."""
    for name in ('state_dict', 'model'):
        if isinstance(checkpoint.get(name), Mapping):
            return checkpoint[name]
    return checkpoint


def name_table(group, names):
    """List the names of a complete group.

    Args:
        group (str): One of the groups above.
        names (Collection[str]): Names present, in either layout; they tell how
            many blocks a backbone has.

    Returns:
        tuple[tuple[str, ...]]: Authors' name, ours and, of a backbone,
        mmseg's of every tensor.
    """
    if group == 'loss':
        return (('center', 'center'), )
    if group.endswith('.head'):
        return _HEAD
    blocks = (re.match(_BLOCK_NAME, name) for name in names)
    depth = max((int(block[1]) + 1 for block in blocks if block), default=0)
    depth = min(depth, len(names))  # a wild index makes no endless table
    return tuple((a, b, b) for a, b in _VIT_TOP) + tuple(
        (f'blocks.{i}.{a}.{kind}', f'layers.{i}.{b}.{kind}',
         f'layers.{i}.{c}{kind}') for i in range(depth)
        for a, b, c in _VIT_BLOCK for kind in ('weight', 'bias'))
