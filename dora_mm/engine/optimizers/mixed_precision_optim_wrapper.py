from typing import Any, Union

import torch
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper

from dora_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(AmpOptimWrapper):
    """mmengine's mixed precision in bfloat16 where the device computes in it.

    bfloat16 has the range of float32, so gradients need no scaling and no
    step is skipped. Elsewhere float16 with a scaled loss is used. A run may
    change from one to the other when it resumes: the scale then starts anew.

    Args:
        dtype (str | torch.dtype): 'auto', or a dtype of
            :class:`mmengine.optim.AmpOptimWrapper`. Defaults to 'auto'.
        loss_scale (str | float | dict): See there; not used in bfloat16.
            Defaults to 'dynamic'.
        **kwargs: Other arguments of that class.
    """

    def __init__(self,
                 dtype: Union[str, torch.dtype] = 'auto',
                 loss_scale: Union[str, float, dict] = 'dynamic',
                 **kwargs: Any) -> None:
        if dtype == 'auto':
            dtype = amp_dtype()
            print_log(f'Mixed precision in {dtype} (optim_wrapper.dtype).',
                      'current')
        if dtype in ('bfloat16', torch.bfloat16):
            loss_scale = dict(enabled=False)
        super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimiser and the loss scale, if a scale was saved.

        Args:
            state_dict (dict): Of any mixed-precision wrapper; changed in
                place, as mmengine does.
        """
        if not state_dict.get('loss_scaler'):  # of bfloat16: empty
            state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)


def amp_dtype() -> str:
    """The dtype of mixed precision on this machine.

    Returns:
        str: 'bfloat16' where a GPU has units for it, else 'float16'. PyTorch
        emulates bfloat16 on cards that have none (V100 for one).
    """
    has_bfloat16 = torch.cuda.is_available() and (
        torch.version.hip or torch.cuda.get_device_capability() >= (8, 0))
    return 'bfloat16' if has_bfloat16 else 'float16'
