from typing import Sequence

from dora_mm.registry import TRANSFORMS
from .transforms import PackClipInputs


def check_pipeline(pipeline: Sequence[dict]) -> None:
    """Refuse a pipeline that makes no ``inputs`` for a model.

    The last transform of users may be their own; of ours one packs.

    Args:
        pipeline (Sequence[dict]): Settings of the transforms.

    Raises:
        ValueError: If it is empty or ends with another of our transforms.
    """
    last = pipeline[-1]['type'] if pipeline else None
    cls = TRANSFORMS.get(last) if isinstance(last, str) else last
    if cls is None or (cls.__module__.startswith('dora_mm.')
                       and not issubclass(cls, PackClipInputs)):
        raise ValueError(
            'pipeline must end with a transform that packs inputs, but got '
            f'{list(pipeline)!r}: add dict(type=\'dora_mm.PackClipInputs\')')
