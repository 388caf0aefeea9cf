import math
from typing import List

import torch


def find_non_finite(checkpoint: dict) -> List[str]:
    """Find what must not be in a checkpoint.

    Args:
        checkpoint (dict): With ``state_dict`` and ``optimizer``, or without.

    Returns:
        list[str]: Names of the tensors and numbers of both that are, or hold,
        NaN or infinity.
    """
    found = []

    def visit(value: object, name: str) -> None:
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() and not value.isfinite().all():
                found.append(name)
        elif isinstance(value, float):
            if not math.isfinite(value):
                found.append(name)
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(item, f'{name}.{key}' if name else str(key))
        elif isinstance(value, (list, tuple)):
            for key, item in enumerate(value):
                visit(item, f'{name}.{key}')

    visit(checkpoint.get('state_dict', {}), '')
    visit(checkpoint.get('optimizer', {}), 'optimizer')
    return found
