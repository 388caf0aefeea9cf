"""Converting checkpoints between layouts, and publishing backbones."""
import datetime
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch

from dora_mm.version import __version__
from .huggingface import WEIGHTS, hf_names, read_hf, write_hf
from .layouts import LAYOUTS, NETWORKS, sniff
from .safe_load import atomic_save, load_trusted, sha256_of
from .tensors import read_tensors, write_tensors
from .verify import verify_backbone, vit_arch

__all__ = ['ConversionReport', 'convert', 'load_trusted', 'publish', 'sniff']

BACKBONE_ONLY = ('timm', 'mmseg', 'hf')
TARGETS = ('dora_mm', 'dino') + BACKBONE_ONLY


@dataclass
class ConversionReport:
    """What :func:`convert` or :func:`publish` did.

    Attributes:
        source_layout (str): What :func:`sniff` said.
        target_layout (str): The layout written.
        path (Path): The file written.
        rows (list[tuple]): For every tensor written (source key, target key,
            shape).
        dropped (list[str]): Entries of the source that were left behind.
        error (float): Largest relative difference between a forward pass of
            the source backbone and of the written one; 0 if none was run.
    """
    source_layout: str
    target_layout: str
    path: Path
    rows: list
    dropped: list
    error: float

    def __str__(self):
        width = max(len(source) for source, _, _ in self.rows)
        lines = [f'source layout: {self.source_layout}']
        lines += [
            f'{source:<{width}} -> {target} {shape}'
            for source, target, shape in self.rows
        ]
        lines += [f'dropped: {name}' for name in self.dropped]
        lines.append(
            f'{len(self.rows)} tensors written as {self.target_layout}, '
            f'{len(self.dropped)} entries dropped; forward pass agrees to '
            f'{self.error:.1e}')
        return '\n'.join(lines)


def convert(source, target, to, key=None, trust=False, num_heads=None):
    """Convert a checkpoint between our layout, the authors' and other hosts'.

    Student, teacher, both heads and the centre are kept; optimiser, schedules
    and logs are not, so a run continues from the result by ``load_from``, not
    by ``resume``. The file written holds tensors and plain data only. It is
    read back, compared bit by bit and forwarded before it is put in place.

    Args:
        source (str | Path): A file of any layout that :func:`sniff` knows, or
            a folder that Hugging Face's ``save_pretrained`` wrote.
        target (str | Path): The file to write, for 'hf' a new folder.
        to (str): 'dora_mm', a runner layout for ``load_from``; 'dino', the
            training file of DINO's and DoRA's code; or a plain backbone:
            'timm'; 'mmseg', for its ``VisionTransformer`` with
            ``patch_bias=True`` (else it drops the bias and says nothing),
            ``final_norm=True`` and the norms' ``eps=1e-6``; 'hf', for
            ``ViTModel`` of transformers 4 and 5.
        key (str, optional): 'teacher' or 'student': the one network to keep.
            Defaults to both; to the teacher for a plain backbone. A source
            with one nameless network becomes both, so that training starts as
            the method does, with teacher = student.
        trust (bool): See :func:`load_trusted`. Defaults to False.
        num_heads (int, optional): Needed for the check where a head does not
            have 64 channels.

    Returns:
        ConversionReport: Every key, and what was dropped.

    Raises:
        ValueError: If the file is unsafe, unknown or incomplete, has keys
            without a place, lacks ``key``, or the check fails. Nothing is
            written then.
    """
    if to not in TARGETS:
        raise ValueError(f'to must be one of {TARGETS}, but got {to!r}')
    checkpoint, content = _read(source, trust)
    content.check(source)
    groups = _select(content, to, key)
    if to == 'hf':
        path, rows, error = _convert_to_hf(groups, target, num_heads)
    else:
        output, rows = write_tensors(groups, to)
        if to != 'timm':
            output['meta'] = _meta(source, checkpoint, content)
        if to == 'dino':
            output['epoch'] = content.facts.get('epoch', 0)
        error = 0.

        def verify(path):
            nonlocal error
            _compare_bits(read_tensors(load_trusted(path), to).groups, groups)
            error = _verify_backbones(groups, num_heads)

        path = atomic_save(output, target, verify)
    kept = {entry.source for g in groups.values() for entry in g.values()}
    dropped = content.dropped + [
        entry.source for group in content.groups.values()
        for entry in group.values() if entry.source not in kept
    ]
    return ConversionReport(content.layout, to, path, rows, dropped, error)


def publish(source, target, key='teacher', trust=False, num_heads=None):
    """Publish the backbone of a checkpoint for downstream use.

    The file has the keys of ``mmpretrain.VisionTransformer`` under the prefix
    ``backbone.`` and tensors and plain data only: load it with
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.
    Before it is put in place it is loaded strictly into the stock ViT and
    compared with the source in a forward pass.

    Args:
        source (str | Path): A runner checkpoint of ours (or any layout that
            :func:`sniff` knows).
        target (str | Path): Where to write. As in mmpretrain,
            ``out.pth`` becomes ``out_{date}-{sha256, 8 digits}.pth``.
        key (str): 'teacher' or 'student'. Defaults to 'teacher'.
        trust (bool): See :func:`load_trusted`. Defaults to False.
        num_heads (int, optional): Needed where a head does not have 64
            channels.

    Returns:
        ConversionReport: Every key; its ``path`` is the file written.

    Raises:
        ValueError: If the file is unsafe, unknown, lacks the network or parts
            of its backbone, or the check fails. Nothing is written then.
    """
    checkpoint, content = _read(source, trust)
    group = f'{content.network(key)}.backbone'
    content.check(source, [group])
    tensors = _tensors(content.groups[group])
    arch = vit_arch(tensors, num_heads)
    # our layout has its student where a lone backbone belongs
    output, rows = write_tensors({'student.backbone': content.groups[group]},
                                 'dora_mm')
    meta = _meta(source, checkpoint, content)
    if group != 'any.backbone':
        meta['backbone_of'] = key
    output['meta'] = dict(meta, arch=arch)
    error = 0.

    def verify(path):
        nonlocal error
        state = torch.load(path, map_location='cpu', weights_only=True)
        stock = OrderedDict((name[len('backbone.'):], tensor)
                            for name, tensor in state['state_dict'].items())
        error = verify_backbone(stock, tensors, arch)

    def named(path, sha):
        stem = path.name[:-4] if path.name.endswith('.pth') else path.name
        date = datetime.datetime.now().strftime('%Y%m%d')
        return path.with_name(f'{stem}_{date}-{sha[:8]}.pth')

    path = atomic_save(output, target, verify, named)
    taken = {row[0] for row in rows}
    dropped = content.dropped + [source for source, _ in content.unused] + [
        entry.source for entries in content.groups.values()
        for entry in entries.values() if entry.source not in taken
    ]
    return ConversionReport(content.layout, 'mmpretrain', path, rows, dropped,
                            error)


def _read(source, trust):
    """A file, or a folder of Hugging Face's, and its tensors."""
    if Path(source).is_dir():
        checkpoint = read_hf(source)
        return checkpoint, read_tensors(checkpoint, 'hf')
    checkpoint = load_trusted(source, trust)
    return checkpoint, read_tensors(checkpoint)


def _convert_to_hf(groups, target, num_heads):
    """Write a folder; its path, rows of the report and error."""
    entries = groups['any.backbone']
    tensors = _tensors(entries)
    error = _verify_backbones(groups, num_heads)
    path = write_hf(tensors, vit_arch(tensors, num_heads), target)
    try:
        _compare_bits(read_tensors(read_hf(path), 'hf').groups, groups)
    except ValueError:
        shutil.rmtree(path)
        raise
    rows = [(entry.source, ', '.join(hf_names(name)),
             tuple(entry.tensor.shape)) for name, entry in entries.items()]
    return path, rows, error


def _select(content, to, key):
    """The groups that go into the target, renamed for its layout."""
    groups = content.groups
    if to in BACKBONE_ONLY:
        if key is None:
            has_teacher = 'student.backbone' not in groups or (
                'teacher.backbone' in groups)
            key = 'teacher' if has_teacher else 'student'
        return {'any.backbone': groups[f'{content.network(key)}.backbone']}
    networks = NETWORKS
    if key is not None:
        content.network(key)
        networks = (key, )
    selected = OrderedDict()
    for target in LAYOUTS[to]:
        network, _, part = target.partition('.')
        if network in networks or network == 'loss':
            source = target if target in groups else f'any.{part}'
            if source in groups:
                selected[target] = groups[source]
    if not any(group.endswith('.backbone') for group in selected):
        raise ValueError('the checkpoint has no backbone, only '
                         f'{sorted(groups)}: nothing to convert')
    return selected


def _tensors(entries):
    return {name: entry.tensor for name, entry in entries.items()}


def _meta(source, checkpoint, content):
    """Provenance as str and int only."""
    before = checkpoint.get('meta')
    source = Path(source)
    meta = dict(
        source=source.name,
        source_sha256=sha256_of(source /
                                WEIGHTS if source.is_dir() else source),
        source_layout=content.layout,
        dora_mm_version=__version__,
        **content.facts)
    if isinstance(before, dict) and 'backbone_of' in before:
        meta['backbone_of'] = str(before['backbone_of'])
    return meta


def _compare_bits(found, expected):
    if found.keys() != expected.keys():
        raise ValueError(f'the file written has the groups {list(found)} '
                         f'instead of {list(expected)}')
    for group, entries in expected.items():
        for name, entry in entries.items():
            if not _same_bits(found[group][name].tensor, entry.tensor):
                raise ValueError(
                    f'{group}.{name} changed while it was written')


def _same_bits(a, b):
    # as bytes: NaN equals itself and -0 is not 0
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.reshape(-1).view(torch.uint8),
        b.detach().reshape(-1).view(torch.uint8))


def _verify_backbones(groups, num_heads):
    """Forward every backbone as a stock ViT; the largest error."""
    errors = [0.]
    for group, entries in groups.items():
        if group.endswith('.backbone'):
            tensors = _tensors(entries)
            output, _ = write_tensors({'student.backbone': entries}, 'dora_mm')
            stock = OrderedDict(
                (name[len('backbone.'):], tensor)
                for name, tensor in output['state_dict'].items())
            errors.append(
                verify_backbone(stock, tensors, vit_arch(tensors, num_heads)))
    return max(errors)
