from typing import Optional

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from dora_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS
from dora_mm.utils.counted import counted
from ..unwrap_model import unwrap_model


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DecayGroupsConstructor:
    """Two parameter groups: with and without weight decay.

    Biases and other 1-D parameters get no decay, as in DINO. mmengine's
    constructor does the same with one group for each parameter, which keeps
    the optimiser from updating them in a few fused launches and fills the log
    with a line for each.

    Args:
        optim_wrapper_cfg (dict): ``optimizer`` and, optionally, ``type`` and
            arguments of the optim wrapper.
        paramwise_cfg (dict, optional): Must be None.

    Raises:
        ValueError: If ``paramwise_cfg`` is given, or no parameter is trained.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: Optional[dict] = None) -> None:
        if paramwise_cfg:
            raise ValueError(
                f'paramwise_cfg must be left out, but got {paramwise_cfg}: '
                'use DefaultOptimWrapperConstructor for it')
        self.optim_wrapper_cfg = dict(optim_wrapper_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optim wrapper for the parameters that are trained."""
        model = unwrap_model(model)
        params = [p for p in model.parameters() if p.requires_grad]
        if not params:
            raise ValueError(
                'model must have a parameter that is trained, but got '
                f'{type(model).__name__} without: freeze less of it')
        decayed = [p for p in params if p.ndim > 1]
        flat = [p for p in params if p.ndim <= 1]
        print_log(
            f'{counted(len(decayed), "parameter")} with weight decay, '
            f'{len(flat)} without: biases and all others of one dimension.',
            logger='current')
        cfg = dict(self.optim_wrapper_cfg)
        cfg.setdefault('type', 'OptimWrapper')
        optimizer = OPTIMIZERS.build(
            dict(
                cfg.pop('optimizer'),
                params=[
                    dict(params=decayed),
                    dict(params=flat, weight_decay=0.)
                ]))
        return OPTIM_WRAPPERS.build(
            cfg, default_args=dict(optimizer=optimizer))
