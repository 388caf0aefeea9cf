"""Frozen backbones and what needs no training on top of them."""
from .box_tracker import BoxTracker
from .build_backbone import build_backbone
from .colour_histogram import ColourHistogram
from .dense_encoder import DenseEncoder
from .frozen_encoder import FrozenEncoder
from .keypoint_propagation import KeypointPropagation
from .label_propagation import LabelPropagation
from .load_backbone import load_backbone
from .model_loader import ModelLoader
from .object_discovery import ObjectDiscovery

__all__ = [
    'BoxTracker', 'ColourHistogram', 'DenseEncoder', 'FrozenEncoder',
    'KeypointPropagation', 'LabelPropagation', 'ModelLoader',
    'ObjectDiscovery', 'build_backbone', 'load_backbone'
]
