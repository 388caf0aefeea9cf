"""A published backbone as a folder for Hugging Face, with its model card."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any, List, Union

import torch

from dora_mm.checkpoints import checkpoint_config, convert
from dora_mm.checkpoints.read_checkpoint import read_checkpoint
from dora_mm.models import build_backbone
from dora_mm.utils.atomic_file import atomic_file
from dora_mm.video.video_manifest import VideoManifest

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

Images are RGB, divided by 255, less (0.485, 0.456, 0.406), divided by (0.229,
0.224, 0.225). The image that the position embeddings are made for has
{img_size} pixels a side.

## Where it comes from

{origin}

## Videos

{videos}

## Results

No result is claimed here: add those that you measured, and say that you did.

## Config

{config}
"""


def write_card(source: Union[str, Path],
               published: Union[str, Path],
               trust: bool = False) -> Path:
    """Write a folder that transformers loads, beside a published file.

    It has ``model.safetensors`` and ``config.json``, see :func:`write_hf`,
    and ``README.md``, which says what is known of the run and its videos.

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
    card = _CARD.format(
        name=folder.name,
        what=_what(facts),
        img_size=facts['arch']['img_size'],
        origin=_origin(facts, run),
        videos=_videos(run),
        config=_config(checkpoint))
    with atomic_file(folder / 'README.md') as file:
        file.temporary.write_text(card)
    return folder


def _what(facts: Mapping) -> str:
    arch = facts['arch']
    return (f'A vision transformer of {arch["num_layers"]} layers, '
            f'{arch["embed_dims"]} channels and {arch["num_heads"]} heads, '
            f'with patches of {arch["patch_size"]} pixels: the '
            f'{facts.get("backbone_of", "backbone")} of {facts["source"]}.')


def _origin(facts: Mapping, run: Mapping) -> str:
    rows = dict(
        checkpoint=facts['source'],
        sha256=facts['source_sha256'],
        layout=facts['source_layout'],
        epochs=facts.get('epoch', run.get('epoch')),
        steps=facts.get('iter', run.get('iter')),
        seed=run.get('seed'),
        mmengine=run.get('mmengine_version'),
        dora_mm=facts['dora_mm_version'])
    return _table(('what', 'value'), [
        (name, value) for name, value in rows.items() if value is not None
    ])


def _videos(run: Mapping) -> str:
    meta = run.get('dataset_meta')
    names = meta.get('videos') if isinstance(meta, Mapping) else None
    if not names:
        return 'The checkpoint does not say what it was trained on.'
    rows = []
    for name in names:
        path, manifest = Path(name), None
        if path.is_file():
            manifest = VideoManifest.load(path)
        left_out = '?' if manifest is None else sum(
            end - begin for begin, end, *_ in manifest.excluded)
        rows.append((path.name, left_out))
    return _table(('video', 'frames left out'), rows)


def _config(checkpoint: Any) -> str:
    try:
        text = checkpoint_config(checkpoint).pretty_text
    except (AttributeError, KeyError, TypeError, ValueError):
        return 'The checkpoint has none.'
    return f'```python\n{text.strip()}\n```'


def _table(head: tuple, rows: List[tuple]) -> str:
    lines = [head, ('---', ) * len(head), *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)
