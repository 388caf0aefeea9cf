from .decay_groups_constructor import DecayGroupsConstructor
from .layer_decay_constructor import LayerDecayConstructor

__all__ = ['DecayGroupsConstructor', 'LayerDecayConstructor']
