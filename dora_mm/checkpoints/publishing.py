"""Publishing the backbone of a checkpoint."""
import datetime
from pathlib import Path
from typing import Any, Callable, Union

import torch
from torch import nn

from .architecture import (plain_arch, read_architecture, require,
                           stock_settings)
from .conversion_report import ConversionReport
from .read_checkpoint import provenance, read_checkpoint
from .safe_load import atomic_save
from .tensors import write_tensors
from .verify import verify_backbone


def publish(source: Union[str, Path],
            target: Union[str, Path],
            build: Callable[[dict], nn.Module],
            key: str = 'teacher',
            trust: bool = False,
            **options: Any) -> ConversionReport:
    """Publish the backbone of a checkpoint for downstream use.

    The file has the keys of ``mmpretrain.VisionTransformer`` under the prefix
    ``backbone.`` and tensors and plain data only: load it with
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.
    Its ``meta.arch`` says the whole architecture. Before it is put in place
    it is loaded strictly into the stock ViT and compared with the network
    that the run's own config gives.

    Args:
        source (str | Path): A runner checkpoint of ours (or any layout that
            :func:`sniff` knows).
        target (str | Path): Where to write. As in mmpretrain,
            ``out.pth`` becomes ``out_{date}-{sha256, 8 digits}.pth``.
        build (callable): Makes the network of the check from its settings,
            :func:`dora_mm.models.build_backbone`.
        key (str): 'teacher' or 'student'. Defaults to 'teacher'.
        trust (bool): See :func:`load_trusted`. Defaults to False.
        **options: ``num_heads``, ``img_size`` (a side, or height and width in
            pixels), ``norm_eps``, ``activation``, as far as the file does not
            say them.

    Returns:
        ConversionReport: Every key; its ``path`` is the file written.

    Raises:
        ValueError: If the file is unsafe, unknown, lacks the network or parts
            of its backbone, does not say its architecture, or the check
            fails. Nothing is written then.
    """
    checkpoint, content = read_checkpoint(source, trust)
    group = f'{content.network(key)}.backbone'
    content.check(source, [group])
    entries = content.groups[group]
    tensors = {name: entry.tensor for name, entry in entries.items()}
    arch, own = read_architecture(checkpoint, content, group, build, options)
    require(arch, str(source))
    # our layout has its student where a lone backbone belongs
    output, rows = write_tensors({'student.backbone': entries}, 'dora_mm')
    meta = provenance(source, checkpoint, content)
    if group != 'any.backbone':
        meta['backbone_of'] = key
    output['meta'] = dict(meta, arch=plain_arch(arch))
    error = 0.

    def verify(path: Path) -> None:
        nonlocal error
        state = torch.load(path, map_location='cpu', weights_only=True)
        stock = {
            name.removeprefix('backbone.'): tensor
            for name, tensor in state['state_dict'].items()
        }
        model = build(stock_settings(arch))
        error = verify_backbone(model, stock, tensors, arch, own)

    path = atomic_save(output, target, verify, _name_with_hash)
    taken = {row[0] for row in rows}
    dropped = content.dropped + [source for source, _ in content.unused] + [
        entry.source for others in content.groups.values()
        for entry in others.values() if entry.source not in taken
    ]
    return ConversionReport(content.layout, 'mmpretrain', path, rows, dropped,
                            error)


def _name_with_hash(path: Path, sha: str) -> Path:
    stem = path.name.removesuffix('.pth')
    date = datetime.datetime.now().strftime('%Y%m%d')
    return path.with_name(f'{stem}_{date}-{sha[:8]}.pth')
