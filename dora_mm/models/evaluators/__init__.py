"""Frozen backbones and what needs no training on top of them."""
from .box_tracker import BoxTracker
from .colour_histogram import ColourHistogram
from .dense_encoder import DenseEncoder
from .frozen_encoder import FrozenEncoder
from .label_propagation import LabelPropagation
from .load_backbone import load_backbone
from .lost_detector import LOSTDetector

__all__ = [
    'BoxTracker', 'ColourHistogram', 'DenseEncoder', 'FrozenEncoder',
    'LOSTDetector', 'LabelPropagation', 'load_backbone'
]
