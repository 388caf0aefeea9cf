"""Frozen backbones and what needs no training on top of them."""
from .colour_histogram import ColourHistogram
from .frozen_encoder import FrozenEncoder
from .load_backbone import load_backbone

__all__ = ['ColourHistogram', 'FrozenEncoder', 'load_backbone']
