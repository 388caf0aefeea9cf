"""A published backbone as a folder for Hugging Face, with its model card."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any, List, Union

import torch
from mmengine.config import Config

from dora_mm.checkpoints import checkpoint_config, convert
from dora_mm.checkpoints.read_checkpoint import read_checkpoint
from dora_mm.checkpoints.safe_load import sha256_of
from dora_mm.engine.config_settings import RUNNER
from dora_mm.models import build_backbone
from dora_mm.utils.counted import counted
from dora_mm.utils.read_json import read_json
from dora_mm.utils.write_text import write_text
from .timm_folder import write_timm

_CARD = """---
library_name: transformers
pipeline_tag: image-feature-extraction
tags:
- dora_mm
- self-supervised-learning
---

# {name}

{what}

## Use

```python
from transformers import ViTModel

model = ViTModel.from_pretrained('{name}', add_pooling_layer=False)
```

{timm}

Images are RGB, divided by 255, less (0.485, 0.456, 0.406), divided by (0.229,
0.224, 0.225). The image that the position embeddings are made for has
{img_size} pixels a side.

## Where it comes from

{origin}

## Videos

{videos}

## Results

{results}

## Config

{config}
"""

_TIMM = """```python
import timm
from huggingface_hub import snapshot_download

folder = snapshot_download('USER/{name}')
model = timm.create_model(f'local-dir:{{folder}}/timm', pretrained=True)
```"""
_MEASURED = 'who wrote this card, with dora-mm test'


def write_card(source: Union[str, Path],
               published: Union[str, Path],
               trust: bool = False) -> Path:
    """Write a folder that transformers loads, beside a published file.

    It has ``model.safetensors`` and ``config.json``, see :func:`write_hf`,
    the folder ``timm``, see :func:`write_timm`, and ``README.md``, which says
    what is known of the run, its videos and its evaluations: every
    ``results.json`` of ``dora-mm test`` below the folder of the checkpoint
    that has the hash of either file.

    Args:
        source (str | Path): The checkpoint that was published.
        published (str | Path): What :func:`publish` wrote of it; the folder
            has its name without ``.pth``.
        trust (bool): See :func:`load_trusted`. Defaults to False.

    Returns:
        Path: The folder.

    Raises:
        ValueError: If there is such a folder, or a file cannot be read.
    """
    published = Path(published)
    folder = published.with_suffix('')
    facts = torch.load(published, weights_only=True)['meta']
    checkpoint, _ = read_checkpoint(source, trust)
    run = checkpoint.get('meta')
    run = run if isinstance(run, Mapping) else {}
    convert(published, folder, 'hf', build_backbone)
    try:
        write_timm(published, facts['arch'], folder / 'timm')
        timm = _TIMM.format(name=folder.name)
    except ValueError as error:
        timm = f'timm cannot compute the same: {error}.'
    card = _CARD.format(
        name=folder.name,
        what=_what(facts),
        img_size=facts['arch']['img_size'],
        origin=_origin(facts, run),
        timm=timm,
        videos=_videos(run),
        results=_results(Path(source), published),
        config=_config(checkpoint))
    write_text(folder / 'README.md', card)
    return folder


def _what(facts: Mapping) -> str:
    arch = facts['arch']
    return (f'A vision transformer of {arch["num_layers"]} layers, '
            f'{arch["embed_dims"]} channels and {arch["num_heads"]} heads, '
            f'with patches of {arch["patch_size"]} pixels: the '
            f'{facts.get("backbone_of", "backbone")} of {facts["source"]}.')


def _origin(facts: Mapping, run: Mapping) -> str:
    versions = _inner(_inner(run, 'run'), 'versions')
    rows = {
        'checkpoint': facts['source'],
        'sha256': facts['source_sha256'],
        'layout': facts['source_layout'],
        'steps': facts.get('iter', run.get('iter')),
        'seed': run.get('seed'),
        'mmengine': run.get('mmengine_version'),
        'torch': versions.get('torch'),
        'trained by dora_mm': versions.get('dora_mm'),
        'published by dora_mm': facts['dora_mm_version']
    }
    return _table(('what', 'value'), [
        (name, value) for name, value in rows.items() if value is not None
    ])


def _inner(facts: Mapping, name: str) -> Mapping:
    found = facts.get(name)
    return found if isinstance(found, Mapping) else {}


def _videos(run: Mapping) -> str:
    meta = _inner(run, 'dataset_meta')
    if meta.get('dataset_type') == 'images':
        return (f'{counted(meta.get("num_images"), "image")} of '
                f'{Path(meta.get("images")).name}.')
    paths = meta.get('videos')
    if not paths:
        return 'The checkpoint does not say what it was trained on.'
    # In the order of the paths, see run_facts.
    known = _inner(run, 'run').get('videos') or [('?', '?', '?')] * len(paths)
    unknown = ['?'] * len(paths)
    return _table(
        ('video', 'bytes', 'sha256 of a sample', 'frames', 'left out'), [
            (Path(path).name, size, digest, frames, left_out)
            for path, (_, size, digest), frames, left_out in zip(
                paths, known, meta.get('num_frames', unknown),
                meta.get('frames_left_out', unknown))
        ])


def _results(source: Path, published: Path) -> str:
    """Evaluations of either file that lie below the run's folder."""
    hashes = {
        sha256_of(path): path.name
        for path in (source, published) if path.is_file()
    }
    rows = []
    for place in sorted(source.parent.rglob('results.json')):
        found = read_json(place)
        found = found if isinstance(found, Mapping) else {}
        name = hashes.get(found.get('checkpoint_sha256'))
        if name is not None:
            rows += [(Path(str(found.get('config'))).stem, metric,
                      f'{value:.3f}', name, _MEASURED)
                     for metric, value in _inner(found, 'metrics').items()]
    if not rows:
        return ('No result was found beside the checkpoint: add those that '
                'you measured, and say that you did.')
    return _table(('evaluation', 'metric', 'value', 'of', 'measured by'), rows)


def _config(checkpoint: Any) -> str:
    """What the run has read of its config, without the file's variables."""
    try:
        cfg = checkpoint_config(checkpoint)
        read = {name: value for name, value in cfg.items() if name in RUNNER}
        text = Config(read).pretty_text
    except (AttributeError, KeyError, TypeError, ValueError):
        return 'The checkpoint has none.'
    return f'```python\n{text.strip()}\n```'


def _table(head: tuple, rows: List[tuple]) -> str:
    lines = [head, ('---', ) * len(head), *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)
