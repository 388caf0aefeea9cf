from .decay_groups_constructor import DecayGroupsConstructor
from .layer_decay_constructor import LayerDecayConstructor
from .mixed_precision_optim_wrapper import MixedPrecisionOptimWrapper

__all__ = [
    'DecayGroupsConstructor', 'LayerDecayConstructor',
    'MixedPrecisionOptimWrapper'
]
