from typing import Optional

import torch
from torch import Tensor

WEIGHTS = 'a dense tensor of float16, bfloat16, float32 or float64'
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def weight_kind(tensor: Tensor) -> Optional[str]:
    """What a tensor is that cannot be a weight.

    Args:
        tensor (Tensor): Of any shape, dtype, layout and device.

    Returns:
        str | None: Its dtype and what else it is; None if it can be one.
    """
    kinds = [
        name for name, applies in (
            ('nested', tensor.is_nested),
            (f'{tensor.layout}', tensor.layout != torch.strided),
            ('quantised', tensor.is_quantized),
            ('empty, on the meta device', tensor.is_meta),
        ) if applies
    ]
    if tensor.dtype in _DTYPES and not kinds:
        return None
    return ', '.join((f'a tensor of {tensor.dtype}', *kinds))
