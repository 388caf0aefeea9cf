"""Frozen backbones and what needs no training on top of them."""
from .colour_histogram import ColourHistogram
from .frozen_encoder import FrozenEncoder
from .label_propagation import LabelPropagation
from .load_backbone import load_backbone

__all__ = [
    'ColourHistogram', 'FrozenEncoder', 'LabelPropagation', 'load_backbone'
]
