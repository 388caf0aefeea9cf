"""Key names of the checkpoint layouts.

A checkpoint is taken apart into groups, ``student.backbone``,
``student.head``, ``teacher.backbone``, ``teacher.head``, ``any.backbone``,
``any.head`` (a file that does not say whose network it holds) and ``loss``.
Within a group, names are those of the authors' code (DINO's, DoRA's, timm's).
"""
import re
from collections.abc import Collection, Mapping
from typing import Any, Dict, NamedTuple, Optional, Tuple

from torch import Tensor

NETWORKS = ('student', 'teacher')
# A row is a module or parameter of a backbone, a column the code that names it
# so. A name that ends in a separator goes on with 'weight' and 'bias', # is
# the number of a block, QKV stands for the names of three tensors that the
# others keep in one. The last column is the shape of the weight, in D
# channels, N tokens, C colours, P pixels, F hidden channels; a bias has its
# first side.
AUTHORS, OURS, MMSEG, HUGGING_FACE = range(4)
_BACKBONE = """
cls_token           cls_token                cls_token                    embeddings.cls_token                      1,1,D
pos_embed           pos_embed                pos_embed                    embeddings.position_embeddings            1,N,D
patch_embed.proj.   patch_embed.projection.  patch_embed.projection.      embeddings.patch_embeddings.projection.   D,C,P,P
norm.               ln1.                     ln1.                         layernorm.                                D
blocks.#.norm1.     layers.#.ln1.            layers.#.ln1.                encoder.layer.#.layernorm_before.         D
blocks.#.attn.qkv.  layers.#.attn.qkv.       layers.#.attn.attn.in_proj_  encoder.layer.#.attention.attention.QKV.  3D,D
blocks.#.attn.proj. layers.#.attn.proj.      layers.#.attn.attn.out_proj. encoder.layer.#.attention.output.dense.   D,D
blocks.#.norm2.     layers.#.ln2.            layers.#.ln2.                encoder.layer.#.layernorm_after.          D
blocks.#.mlp.fc1.   layers.#.ffn.layers.0.0. layers.#.ffn.layers.0.0.     encoder.layer.#.intermediate.dense.       F,D
blocks.#.mlp.fc2.   layers.#.ffn.layers.1.   layers.#.ffn.layers.1.       encoder.layer.#.output.dense.             D,F
"""  # noqa: E501
# torch has had two weight norms. H, B, L are channels and logits of the head.
_HEAD = """
mlp.0.                mlp.0.                                              H,D
mlp.2.                mlp.2.                                              H,H
mlp.4.                mlp.4.                                              B,H
last_layer.weight_g   last_layer.parametrizations.weight.original0        L,1
last_layer.weight_v   last_layer.parametrizations.weight.original1        L,B
"""
_BLOCK_NAME = re.compile(r'(?:blocks|layers|encoder\.layer)\.(\d+)\.')


def _rows(table: str) -> Tuple[Tuple[str, ...], ...]:
    """The rows of a table above, with 'weight' and 'bias' written out."""
    rows = []
    for line in table.strip().splitlines():
        names = tuple(line.split())
        kinds = ('weight', 'bias') if names[0].endswith('.') else ('', )
        *names, shape = names
        for kind in kinds:
            sides = shape.split(',')[0] if kind == 'bias' else shape
            rows.append((*(name + kind for name in names), sides))
    return tuple(rows)


_BACKBONE_ROWS, _HEAD_ROWS = _rows(_BACKBONE), _rows(_HEAD)
WEIGHT_NORM = _HEAD_ROWS[-2:]


class Place(NamedTuple):
    """Where a layout keeps a group: entry of the file, prefix, names."""
    container: str
    prefix: str
    names: int  # column of the tables above
    ddp_prefix: str = ''


# The authors wrap the student in DistributedDataParallel, never the teacher,
# and their loader wants the names so; reading ignores ``module.`` everywhere.
LAYOUTS: Dict[str, Dict[str, Place]] = {
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
    # What read_hf and write_hf exchange, QKV in one.
    'hf': {
        'any.backbone': Place('', '', HUGGING_FACE),
    },
    'mmseg': {
        'any.backbone': Place('state_dict', '', MMSEG),
    },
    'mmpretrain': {
        'any.backbone': Place('', 'backbone.', OURS),
    },
}


# Entries in which programs keep a state dict: mmengine, timm, MAE, DeiT and
# BEiT, DeepSpeed, and averages of timm, DeiT and RT-DETR. What mmengine's
# EMAHook keeps beside state_dict, ema_state_dict, is not the average.
_WRAPPERS = ('state_dict', 'model', 'module', 'model_state_dict',
             'state_dict_ema', 'model_ema', 'ema')


def sniff(checkpoint: Any) -> str:
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
    names = [without_wrappers(str(name)) for name in bare_state(checkpoint)]
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
        'and timm, and folders of Hugging Face. Of another file save the '
        "weights of one ViT under 'state_dict', named as timm does")


def without_wrappers(name: str) -> str:
    """Strip what DistributedDataParallel and torch.compile put into a key."""
    name = name.replace('_orig_mod.', '')  # wherever what is compiled begins
    while name.startswith('module.'):
        name = name[len('module.'):]
    return name


def wrapper_of(checkpoint: Mapping) -> Optional[str]:
    """The entry of a file that holds its state dict; None if there is none.

    Raises:
        ValueError: If several do.
    """
    found = [
        name for name in _WRAPPERS
        if isinstance(checkpoint.get(name), Mapping)
    ]
    if len(found) > 1:  # some may be settings
        found = [n for n in found if _holds_weights(checkpoint[n])]
    if len(found) > 1:
        both = ' and '.join(map(repr, found))
        average = ', weights and their moving average' if any(
            'ema' in name for name in found) else ''
        raise ValueError(f'the checkpoint must hold one network, but got '
                         f'{both}{average}: save the one you want in a file '
                         "of its own, under 'state_dict'")
    return next(iter(found), None)


def _holds_weights(entry: Mapping) -> bool:
    """Whether it is a state dict, or a dict that may hold one.

    Single numbers are settings, such as the decay of a moving average.
    """
    return any(
        value.ndim if isinstance(value, Tensor) else name in _WRAPPERS
        and isinstance(value, Mapping) for name, value in entry.items())


def bare_state(checkpoint: Mapping) -> Mapping:
    """The state dict of a file that holds one, wrapped up to three times.

    Raises:
        ValueError: If there are several, see :func:`wrapper_of`.
    """
    state = checkpoint
    for _ in range(3):  # a dict can hold itself
        name = wrapper_of(state)
        if name is None:
            break
        state = state[name]
    return state


def plain_state(checkpoint: Mapping) -> Dict[str, Any]:
    """The state dict of a file, its keys as the model has them.

    Raises:
        ValueError: If there are several, or one key is there with and without
            what a wrapper puts into it.
    """
    found: Dict[str, Any] = {}
    for key, value in bare_state(checkpoint).items():
        name = without_wrappers(str(key))
        if name in found:
            raise ValueError(f'the checkpoint must hold {name} once, but got '
                             f'{key} as well: remove one of them')
        found[name] = value
    return found


def name_table(group: str,
               names: Collection[str]) -> Tuple[Tuple[str, ...], ...]:
    """List the names of a complete group.

    Args:
        group (str): One of the groups above.
        names (Collection[str]): Names present, of any column; they tell how
            many blocks a backbone has.

    Returns:
        tuple[tuple[str, ...]]: For every tensor its names, in the order
        AUTHORS, OURS and, of a backbone, MMSEG, HUGGING_FACE; and its shape.
    """
    if group == 'loss':
        return (('center', 'center', '1,L'), )
    if group.endswith('.head'):
        return _HEAD_ROWS
    blocks = (re.match(_BLOCK_NAME, name) for name in names)
    depth = max((int(block[1]) + 1 for block in blocks if block), default=1)
    depth = min(depth, len(names))  # a wild index makes no endless table
    top = tuple(row for row in _BACKBONE_ROWS if '#' not in row[AUTHORS])
    block = tuple(row for row in _BACKBONE_ROWS if '#' in row[AUTHORS])
    return top + tuple(
        tuple(name.replace('#', str(i)) for name in row) for i in range(depth)
        for row in block)
