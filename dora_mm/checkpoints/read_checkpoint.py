"""What converting and publishing a file begin with."""
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Dict, Tuple, Union

from dora_mm.version import __version__
from .huggingface import WEIGHTS, read_hf
from .safe_load import load_trusted, sha256_of
from .tensors import CheckpointTensors, read_tensors


def read_checkpoint(source: Union[str, Path],
                    trust: bool = False) -> Tuple[Any, CheckpointTensors]:
    """Read a file, or a folder of Hugging Face's, and its tensors.

    Args:
        source (str | Path): The file or folder.
        trust (bool): See :func:`load_trusted`. Defaults to False.

    Returns:
        tuple[dict, CheckpointTensors]: What the file holds, and its networks.

    Raises:
        ValueError: If it cannot be read or its layout is not known.
    """
    if Path(source).is_dir():
        checkpoint = read_hf(source)
        return checkpoint, read_tensors(checkpoint, 'hf')
    checkpoint = load_trusted(source, trust)
    try:
        return checkpoint, read_tensors(checkpoint)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error


def provenance(source: Union[str, Path], checkpoint: Mapping,
               content: CheckpointTensors) -> Dict[str, Any]:
    """Where tensors come from.

    Args:
        source (str | Path): The file or folder they were read from.
        checkpoint (dict): What it holds.
        content (CheckpointTensors): Its networks.

    Returns:
        dict: Plain str and int, for the ``meta`` of a file.
    """
    before = checkpoint.get('meta')
    source = Path(source)
    meta = dict(
        source=source.name,
        source_sha256=sha256_of(source /
                                WEIGHTS if source.is_dir() else source),
        source_layout=content.layout,
        dora_mm_version=__version__,
        **content.facts)
    if isinstance(before, Mapping) and 'backbone_of' in before:
        meta['backbone_of'] = str(before['backbone_of'])
    return meta
