"""Converting checkpoints between layouts."""
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from .architecture import (SAID, Arch, plain_arch, read_architecture, require,
                           stock_settings)
from .conversion_report import ConversionReport
from .huggingface import read_hf, write_hf
from .layout_architecture import check_target, needed
from .layouts import LAYOUTS, NETWORKS
from .read_checkpoint import provenance, read_checkpoint
from .safe_load import atomic_save, load_trusted
from .tensors import (CheckpointTensors, Groups, read_tensors, stock_state,
                      write_tensors)
from .verify import verify_backbone

BACKBONE_ONLY = ('timm', 'mmseg', 'hf')
TARGETS = ('dora_mm', 'dino') + BACKBONE_ONLY


def convert(source: Union[str, Path],
            target: Union[str, Path],
            to: str,
            build: Callable[[dict], nn.Module],
            key: Optional[str] = None,
            trust: bool = False,
            **options: Any) -> ConversionReport:
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
            ``final_norm=True`` and the ``eps`` of ``meta.arch``; 'hf', for
            ``ViTModel`` of transformers 4 and 5.
        build (callable): Makes the network of the check from its settings,
            :func:`dora_mm.models.build_backbone`.
        key (str, optional): 'teacher' or 'student': the one network to keep.
            Defaults to both; to the teacher for a plain backbone. A source
            with one nameless network becomes both, so that training starts as
            the method does, with teacher = student.
        trust (bool): See :func:`load_trusted`. Defaults to False.
        **options: ``num_heads``, ``img_size`` (a side, or height and width in
            pixels), ``norm_eps``, ``activation``, as far as the file does not
            say them. 'hf' and 'dino' need them all, 'timm' the last two, which
            its code fixes; elsewhere what is not known is not written, and
            whoever loads the file is asked for it.

    Returns:
        ConversionReport: Every key, and what was dropped.

    Raises:
        ValueError: If the file is unsafe, unknown or incomplete, has keys
            without a place, lacks ``key``, has an architecture that ``to``
            cannot hold or does not say what ``to`` needs, the target is the
            source, or the check fails. Nothing is written then.
    """
    if to not in TARGETS:
        raise ValueError(f'to must be one of {", ".join(TARGETS)}, but got '
                         f'{to}: choose one of them')
    if Path(target).is_file() and Path(target).samefile(source):
        raise ValueError('DST must be another file than SRC, but got '
                         f'{target}: what is left out would be lost')
    checkpoint, content = read_checkpoint(source, trust)
    content.check(source)
    groups = _select(content, to, key)
    known = _architectures(checkpoint, content, groups, build, options)
    arch = next(iter(known.values()))[0]
    check_target(arch, to)
    require(arch, str(source), needed(to))
    output, rows = write_tensors(groups, to)
    error = 0.

    def verify(path: Path) -> None:
        nonlocal error
        written = read_hf(path) if to == 'hf' else load_trusted(path)
        found = read_tensors(written, to).groups
        _compare_bits(found, groups)
        error = _verify_backbones(found, groups, build, known)

    if to == 'hf':
        path = write_hf(output, arch, target, verify)
    else:
        if to != 'timm':
            output['meta'] = dict(
                provenance(source, checkpoint, content), arch=plain_arch(arch))
        if to == 'dino':
            output['epoch'] = content.facts.get('epoch', 0)
        path = atomic_save(output, target, verify)
    kept = {entry.source for g in groups.values() for entry in g.values()}
    dropped = content.dropped + [
        entry.source for group in content.groups.values()
        for entry in group.values() if entry.source not in kept
    ]
    return ConversionReport(content.layout, to, path, rows, dropped, error)


def _select(content: CheckpointTensors, to: str, key: Optional[str]) -> Groups:
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


def _compare_bits(found: Groups, expected: Groups) -> None:
    if found.keys() != expected.keys():
        raise ValueError(f'the file written has the groups {list(found)} '
                         f'instead of {list(expected)}')
    for group, entries in expected.items():
        for name, entry in entries.items():
            if not _same_bits(found[group][name].tensor, entry.tensor):
                raise ValueError(
                    f'{group}.{name} changed while it was written')


def _same_bits(a: Tensor, b: Tensor) -> bool:
    # as bytes: NaN equals itself and -0 is not 0
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.reshape(-1).view(torch.uint8),
        b.detach().reshape(-1).view(torch.uint8))


def _architectures(
    checkpoint: Any, content: CheckpointTensors, groups: Groups,
    build: Callable[[dict], nn.Module], options: Dict[str, Any]
) -> Dict[str, Tuple[Arch, Optional[nn.Module]]]:
    """Of each backbone, by its group in the target."""
    sources = {id(entries): name for name, entries in content.groups.items()}
    return {
        group: read_architecture(checkpoint, content, sources[id(entries)],
                                 build, options)
        for group, entries in groups.items() if group.endswith('.backbone')
    }


def _verify_backbones(
        found: Groups, groups: Groups, build: Callable[[dict], nn.Module],
        known: Dict[str, Tuple[Arch, Optional[nn.Module]]]) -> float:
    """Forward every backbone as a stock ViT; the largest error."""
    errors = [0.]
    for group, (arch, own) in known.items():
        tensors = {name: e.tensor for name, e in groups[group].items()}
        # That names have their places is proven with any numbers.
        patches = tensors['pos_embed'].shape[1] - 1
        stand_in = dict(
            num_heads=1,
            img_size=(arch['patch_size'], arch['patch_size'] * patches),
            norm_eps=1e-6,
            activation='gelu')
        arch = {**{name: stand_in[name] for name in SAID}, **arch}
        model = build(stock_settings(arch))
        errors.append(
            verify_backbone(model, stock_state(found[group]), tensors, arch,
                            own))
    return max(errors)
